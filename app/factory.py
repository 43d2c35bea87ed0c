"""The application from its parts: the one place that knows them all.

gunicorn's master imports this module before it forks, so that workers share its memory and only
have to build (see gunicorn.conf.py).
"""

from flask_openapi3 import OpenAPI

from app import access, hosts, openapi, problems, proxies
from app.accounts.attempts import Attempts, client_address
from app.accounts.build import build as build_accounts
from app.admission.build import build as build_admission
from app.alerts.build import build as build_alerts
from app.audit.service import AuditLog
from app.components import EXTENSION, Components
from app.console import errors as console_errors
from app.console.build import build as build_monitoring
from app.environments.build import build as build_environments
from app.exchange import Exchanges
from app.extensions.service import Extensions
from app.health.build import build_checks as build_health_checks
from app.lifecycle import Lifecycle
from app.logs.service import Logs
from app.processes import Presence
from app.projects.build import build as build_projects
from app.quotas.build import build as build_quotas
from app.quotas.build import build_checks as build_quota_checks
from app.refusals import Refusals
from app.resources import open_database, open_engine
from app.sessions.build import build as build_sessions
from app.settings import Settings
from app.storage import Database
from app.streams_build import build as build_streams
from app.teams.build import build as build_teams
from app.telemetry.runtime.limits import cpu_cores
from app.telemetry.wiring import Telemetry
from app.web_blueprints import API, PAGES
from app.websockets.sockets import Sockets
from app.websockets.tickets import Tickets


def build(settings: Settings) -> OpenAPI:
    """Return the application of `app.create_app`."""
    app = openapi.new_app("app")
    exchanges = Exchanges(app)
    proxies.init_app(app, settings.trusted_proxies)
    access.init_app(app, exchanges)
    hosts.init_app(app, settings)
    problems.init_app(app)
    console_errors.init_app(app)

    database = open_database(settings, settings.pool_limit)
    telemetry = Telemetry(settings, database)
    app.extensions[EXTENSION] = _services(app, settings, database, telemetry, exchanges)

    for blueprint in API:
        app.register_api(blueprint)
    for part in PAGES:
        app.register_blueprint(part)
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
    presence = Presence(database)
    check_room = build_quota_checks(settings).check_account
    accounts = build_accounts(settings, database, check_room, cpu_cores(), client_address)
    admission = build_admission(settings, database)
    environments = build_environments(settings, database, engine, presence)
    alerts = build_alerts(settings, database)
    return Components(
        settings=settings,
        lifecycle=lifecycle,
        refusals=Refusals(exchanges),
        database=database,
        engine=engine,
        telemetry=telemetry,
        presence=presence,
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
        environments=environments,
        logs=Logs(database),
        sessions=build_sessions(settings, database, engine, presence),
        extensions=Extensions(database, settings.extension_limit_mb),
        tickets=Tickets(database),
        admission=admission,
        sockets=Sockets(admission),
        streams=build_streams(
            database, engine, presence, environments, admission, lifecycle.draining
        ),
        alerts=alerts,
        monitoring=build_monitoring(settings, alerts),
    )
