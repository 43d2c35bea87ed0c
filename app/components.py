"""The parts of one application, and the getter through which routes reach their service."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from app.accounts.administration import Administration
    from app.accounts.attempts import Attempts
    from app.accounts.invitations import Invitations
    from app.accounts.keys import ApiKeys
    from app.accounts.own import Own
    from app.accounts.registration import Registration
    from app.accounts.service import Accounts
    from app.admission.admission import Admission
    from app.alerts.service import Alerts
    from app.audit.service import AuditLog
    from app.console.monitoring import Monitoring
    from app.engine import Engine
    from app.environments.service import Environments
    from app.extensions.service import Extensions
    from app.health.checks import Checks
    from app.lifecycle import Lifecycle
    from app.logs.service import Logs
    from app.processes import Presence
    from app.projects.service import Projects
    from app.quotas.service import Quotas
    from app.refusals import Refusals
    from app.sessions.service import Sessions
    from app.settings import Settings
    from app.storage import Database
    from app.streams_build import Streams
    from app.teams.service import Teams
    from app.telemetry.wiring import Telemetry
    from app.websockets.sockets import Sockets
    from app.websockets.tickets import Tickets

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
    presence: "Presence"
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
    environments: "Environments"
    logs: "Logs"
    sessions: "Sessions"
    extensions: "Extensions"
    tickets: "Tickets"
    admission: "Admission"
    sockets: "Sockets"
    streams: "Streams"
    alerts: "Alerts"
    monitoring: "Monitoring"

    def start(self) -> None:
        """Start what runs beside the requests; call it after fork."""
        self.checks.start()
        self.presence.start()
        self.sockets.start()

    def close(self) -> None:
        """End the threads and give back the connections."""
        self.checks.close()
        self.presence.close()
        self.sockets.close()
        self.monitoring.close()
        self.telemetry.close()
        self.engine.close()
        self.database.dispose()


def components() -> Components:
    """Return the parts of the application that handles this request."""
    return cast(Components, current_app.extensions[EXTENSION])
