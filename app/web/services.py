"""The parts of one application, and the getter through which routes reach their service."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from app.core.settings import Settings
    from app.doctor.examination import Doctor
    from app.domain.accounts.administration import Administration
    from app.domain.accounts.invitations import Invitations
    from app.domain.accounts.keys import ApiKeys
    from app.domain.accounts.own import Own
    from app.domain.accounts.registration import Registration
    from app.domain.accounts.service import Accounts
    from app.domain.accounts.socket_tickets import Tickets
    from app.domain.alerts.service import Alerts
    from app.domain.alerts.silences import Silences
    from app.domain.alerts.sources import AlertSources
    from app.domain.audit.service import AuditLog
    from app.domain.business.service import BusinessNumbers
    from app.domain.environments.service import Environments
    from app.domain.extensions.service import Extensions
    from app.domain.heartbeat import Heartbeat
    from app.domain.logs.service import Logs
    from app.domain.projects.service import Projects
    from app.domain.quotas.service import Quotas
    from app.domain.sessions.service import Sessions
    from app.domain.teams.service import Teams
    from app.domain.usage.service import Usage
    from app.engine import Engine
    from app.explaining.own_lines import OwnLines
    from app.explaining.service import Explanations
    from app.storage import Database
    from app.web.admission.admission import Admission
    from app.web.console.alerting import Alerting
    from app.web.console.monitoring import Monitoring
    from app.web.health.checks import Checks
    from app.web.lifecycle import Lifecycle
    from app.web.rate_limits import Attempts
    from app.web.refusals import Refusals
    from app.web.streams.build import Streams
    from app.web.telemetry import Telemetry
    from app.web.user_telemetry.intake import Intake
    from app.web.websockets.sockets import Sockets

EXTENSION = "vibebox"


@dataclass(frozen=True)
class Components:
    """What `create_app` made; `start` and `close` frame its life in a worker."""

    settings: "Settings"
    lifecycle: "Lifecycle"
    refusals: "Refusals"
    database: "Database"
    engine: "Engine"
    telemetry: "Telemetry"
    heartbeat: "Heartbeat"
    checks: "Checks"
    accounts: "Accounts"
    own: "Own"
    registration: "Registration"
    invitations: "Invitations"
    administration: "Administration"
    api_keys: "ApiKeys"
    attempts: "Attempts"
    teams: "Teams"
    projects: "Projects"
    quotas: "Quotas"
    audit_log: "AuditLog"
    usage: "Usage"
    business: "BusinessNumbers"
    environments: "Environments"
    logs: "Logs"
    sessions: "Sessions"
    extensions: "Extensions"
    tickets: "Tickets"
    admission: "Admission"
    sockets: "Sockets"
    streams: "Streams"
    alerts: "Alerts"
    alert_sources: "AlertSources"
    silences: "Silences"
    explanations: "Explanations"
    own_lines: "OwnLines"
    doctor: "Doctor"
    monitoring: "Monitoring"
    alerting: "Alerting"
    user_telemetry: "Intake | None"

    def start(self) -> None:
        """Start what runs beside the requests; call it after fork."""
        self.checks.start()
        self.heartbeat.start()
        self.sockets.start()

    def close(self) -> None:
        """End the threads and give back the connections."""
        self.checks.close()
        self.heartbeat.close()
        self.accounts.tell_refused(at_once=True)
        self.sockets.close()
        self.monitoring.close()
        self.alert_sources.close()
        self.silences.close()
        self.doctor.close()
        self.telemetry.close()
        self.engine.close()
        self.database.dispose()


def components() -> Components:
    """Return the parts of the application that handles this request."""
    return cast(Components, current_app.extensions[EXTENSION])
