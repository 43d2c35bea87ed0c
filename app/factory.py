"""The application from its parts: the one place that knows them all.

gunicorn's master imports this module before it forks, so that workers share its memory and only
have to build (see gunicorn.conf.py).
"""

from flask_openapi3 import OpenAPI

from app import (
    access,
    accounts,
    alerts,
    console,
    environments,
    extensions,
    health,
    hosts,
    logs,
    openapi,
    problems,
    projects,
    proxies,
    quotas,
    sessions,
    teams,
)
from app.admission.build import build as build_admission
from app.audit import routes as audit_routes
from app.audit.service import AuditLog
from app.components import EXTENSION, Components
from app.exchange import Exchanges
from app.lifecycle import Lifecycle
from app.processes import Presence
from app.refusals import Refusals
from app.resources import open_database, open_engine
from app.settings import Settings
from app.telemetry.runtime.limits import cpu_cores
from app.telemetry.wiring import Telemetry
from app.websockets.lookout import Lookout
from app.websockets.routes import api as tickets_api
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
    console.init_app(app)

    database = open_database(settings, settings.pool_limit)
    telemetry = Telemetry(settings, database)
    engine = telemetry.measure_engine(open_engine(settings))

    lifecycle = Lifecycle()
    presence = Presence(database)
    check_room = quotas.build_checks(settings).check_account
    ours = accounts.build(settings, database, check_room, cpu_cores())
    admission = build_admission(settings, database)
    lookout = Lookout()
    received = alerts.build(settings, database)
    app.extensions[EXTENSION] = Components(
        settings=settings,
        lifecycle=lifecycle,
        refusals=Refusals(exchanges),
        database=database,
        engine=engine,
        telemetry=telemetry,
        presence=presence,
        checks=health.build_checks(settings, database, engine, lifecycle),
        accounts=ours.accounts,
        own=ours.own,
        registration=ours.registration,
        invitations=ours.invitations,
        administration=ours.administration,
        api_keys=accounts.ApiKeys(database),
        attempts=accounts.Attempts(app, settings, ours.accounts.knows),
        teams=teams.build(settings, database),
        projects=projects.build(database),
        quotas=quotas.build(settings, database),
        audit_log=AuditLog(database),
        environments=environments.build(
            settings, database, engine, presence, lifecycle.draining, admission, lookout
        ),
        logs=logs.build(database, lookout),
        sessions=sessions.Sessions(
            database, engine, presence, sessions.build_server(settings), lookout
        ),
        extensions=extensions.Extensions(database, settings.extension_limit_mb),
        tickets=Tickets(database),
        admission=admission,
        sockets=Sockets(admission),
        alerts=received,
        monitoring=console.build(settings, received),
    )

    for blueprint in (
        health.api,
        accounts.api,
        accounts.keys_api,
        accounts.accounts_api,
        accounts.invitations_api,
        teams.api,
        projects.api,
        quotas.api,
        audit_routes.api,
        alerts.api,
        environments.api,
        environments.templates_api,
        logs.api,
        environments.streams_api,
        logs.streams_api,
        sessions.api,
        sessions.terminals_api,
        extensions.api,
        tickets_api,
    ):
        app.register_api(blueprint)
    # Pages, and what only they use: no part of the documented API.
    for part in (console.pages, console.access):
        app.register_blueprint(part)
    openapi.finish(app)
    telemetry.measure_requests(app, exchanges, openapi.documented_statuses(app))
    return app
