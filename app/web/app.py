"""The application from its parts: the one place that knows them all.

gunicorn's master imports this module before it forks, so that workers share its memory and only
have to build (see `app.web.server`).
"""

from flask_openapi3 import OpenAPI

from app.core.setting_values import prices
from app.core.settings import Settings
from app.doctor.build import build as build_doctor
from app.domain.accounts.build import build as build_accounts
from app.domain.accounts.socket_tickets import Tickets
from app.domain.alerts.build import build as build_alerts
from app.domain.alerts.build import build_sources as build_alert_sources
from app.domain.alerts.silences import Silences
from app.domain.audit.service import AuditLog
from app.domain.business.service import BusinessNumbers
from app.domain.environments.build import build as build_environments
from app.domain.extensions.service import Extensions
from app.domain.heartbeat import Heartbeat
from app.domain.logs.service import Logs
from app.domain.projects.build import build as build_projects
from app.domain.quotas.build import build as build_quotas
from app.domain.quotas.build import build_checks as build_quota_checks
from app.domain.sessions.build import build as build_sessions
from app.domain.teams.build import build as build_teams
from app.domain.usage.service import Usage
from app.explaining.build import build as build_explanations
from app.explaining.own_lines import OwnLines
from app.storage import Database
from app.stores.build import build as build_stores
from app.tracing.build import build as build_recorder
from app.web import hosts, openapi, problems, proxies, request_log
from app.web.admission.build import build as build_admission
from app.web.blueprints import API, PAGES
from app.web.console import errors as console_errors
from app.web.console.alerting import Alerting
from app.web.console.monitoring import Monitoring
from app.web.health import routes as health
from app.web.health.build import build_checks as build_health_checks
from app.web.lifecycle import Lifecycle
from app.web.rate_limits import Attempts, client_address
from app.web.refusals import Refusals
from app.web.services import EXTENSION, Components
from app.web.streams.build import build as build_streams
from app.web.telemetry import Telemetry
from app.web.user_telemetry import routes as user_telemetry
from app.web.user_telemetry.intake import build as build_user_telemetry
from app.web.websockets.sockets import Sockets
from app.wiring import open_database, open_engine
from prefork_metrics.exchange import Exchanges
from prefork_metrics.flask import observe
from prefork_metrics.runtime.limits import cpu_cores


def build(settings: Settings) -> OpenAPI:
    """Return the application of `app.create_app`."""
    app = openapi.new_app("app")
    exchanges = observe(app)
    proxies.init_app(app, settings.trusted_proxies)
    exchanges.on_start.append(request_log.identify)
    app.after_request(request_log.return_id)
    exchanges.on_finish.append(request_log.write_line)
    app.before_request(hosts.gate(settings))
    problems.init_app(app)
    console_errors.init_app(app)

    database = open_database(settings, settings.pool_limit)
    telemetry = Telemetry(settings, database, build_recorder(settings))
    app.extensions[EXTENSION] = _services(app, settings, database, telemetry, exchanges)

    app.register_api(health.api)
    for blueprint in API:
        app.register_api(blueprint)
    for part in PAGES:
        app.register_blueprint(part)
    if settings.user_otlp_endpoint is not None:
        app.register_blueprint(user_telemetry.pages)
    openapi.finish(app)
    telemetry.measure_requests(app, exchanges, openapi.documented_statuses(app))
    return app


def _services(
    app: OpenAPI,
    settings: Settings,
    database: Database,
    telemetry: Telemetry,
    exchanges: Exchanges,
) -> Components:
    """Return what a worker holds."""
    engine = telemetry.measure_engine(open_engine(settings))
    lifecycle = Lifecycle()
    heartbeat = Heartbeat(database)
    check_room = build_quota_checks(settings).check_account
    accounts = build_accounts(settings, database, check_room, cpu_cores(), client_address)
    heartbeat.on_seen.append(accounts.accounts.tell_refused)
    admission = build_admission(settings, database)
    environments = build_environments(settings, database, engine, heartbeat)
    alerts = build_alerts(settings, database)
    stores = build_stores(settings)
    sources = build_alert_sources(settings, alerts, stores)
    silences = Silences(database, sources, stores.alertmanager)
    return Components(
        settings=settings,
        lifecycle=lifecycle,
        refusals=Refusals(exchanges),
        database=database,
        engine=engine,
        telemetry=telemetry,
        heartbeat=heartbeat,
        checks=build_health_checks(settings, database, engine, lifecycle),
        accounts=accounts.accounts,
        own=accounts.own,
        registration=accounts.registration,
        invitations=accounts.invitations,
        administration=accounts.administration,
        api_keys=accounts.api_keys,
        attempts=Attempts(app, settings, accounts.accounts.knows),
        teams=build_teams(settings, database),
        projects=build_projects(database),
        quotas=build_quotas(settings, database),
        audit_log=AuditLog(database),
        usage=Usage(database, prices(settings.usage_prices)),
        business=BusinessNumbers(database, enabled=settings.business),
        environments=environments,
        logs=Logs(database),
        sessions=build_sessions(settings, database, engine, heartbeat),
        extensions=Extensions(database, settings.extension_limit_mb),
        tickets=Tickets(database),
        admission=admission,
        sockets=Sockets(admission),
        streams=build_streams(
            database, engine, heartbeat, environments, admission, lifecycle.draining
        ),
        alerts=alerts,
        alert_sources=sources,
        silences=silences,
        explanations=build_explanations(stores, database),
        own_lines=OwnLines(stores.lines),
        doctor=build_doctor(settings, database, engine, stores),
        monitoring=Monitoring(stores.prometheus),
        alerting=Alerting(sources, silences),
        user_telemetry=build_user_telemetry(settings, database),
    )
