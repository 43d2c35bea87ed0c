"""Environments: records of what a developer asked for, and the containers that run it."""

from collections.abc import Callable

from app import templates
from app.admission.admission import Admission
from app.admission.build import build as build_admission
from app.engine import Engine
from app.environments.changes import Changes
from app.environments.containers import Containers
from app.environments.events import Events
from app.environments.host_ports import host_ports
from app.environments.installation import InstallationId
from app.environments.operations import Operations
from app.environments.pulls import Pulls
from app.environments.records import Records
from app.environments.routes import api
from app.environments.service import Environments, Limits
from app.environments.settling import Settling
from app.environments.status_stream import StatusStream
from app.environments.stream_routes import api as streams_api
from app.environments.template_routes import api as templates_api
from app.environments.transitions import Transitions
from app.environments.waiting import Waiting
from app.processes import Presence
from app.quotas import build_checks
from app.secret_values import SecretValues
from app.settings import Settings
from app.storage import Database
from app.websockets.lookout import Lookout

__all__ = ["api", "build", "build_containers", "build_pulls", "streams_api", "templates_api"]


def build(
    settings: Settings,
    database: Database,
    engine: Engine,
    presence: Presence,
    stopping: Callable[[], bool] = lambda: False,
    admission: Admission | None = None,
    lookout: Lookout | None = None,
) -> Environments:
    """Return the service of environments; `stopping` tells when long requests have to end.

    `admission` and `lookout` are those of the process; without, there are some of its own.
    """
    containers = build_containers(settings, database, engine)
    quotas = build_checks(settings)
    transitions = Transitions(database, presence, quotas)
    settling = Settling(transitions, containers)
    secret_values = SecretValues(settings.secret_keys)
    ports = host_ports(settings)
    records = Records(database, secret_values, quotas, ports)
    admission = admission or build_admission(settings, database)
    return Environments(
        records,
        Changes(database, transitions, containers, settling, secret_values, quotas, ports),
        Operations(database, transitions, containers, settling),
        Waiting(database, records, admission, stopping),
        Events(database, admission, stopping),
        StatusStream(database, lookout or Lookout()),
        templates.load(settings.templates_file),
        Limits(settings.default_cpu_limit, settings.default_memory_limit_mb),
    )


def build_containers(settings: Settings, database: Database, engine: Engine) -> Containers:
    """Return what an environment does with its container."""
    return Containers(
        engine,
        SecretValues(settings.secret_keys),
        InstallationId(database),
        host_ports(settings),
        grace=settings.stop_grace,
        pids_limit=settings.pids_limit,
    )


def build_pulls(
    settings: Settings, database: Database, engine: Engine, presence: Presence
) -> Pulls:
    """Return what pulls images for starts that wait for them; the leading agent drives it."""
    containers = build_containers(settings, database, engine)
    transitions = Transitions(database, presence, build_checks(settings))
    return Pulls(database, presence, containers, Settling(transitions, containers))
