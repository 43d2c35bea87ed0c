"""The services of environments, from the settings."""

from app.core.settings import Settings
from app.domain.environments import templates
from app.domain.environments.changes import Changes
from app.domain.environments.containers import Containers, InstallationId
from app.domain.environments.host_ports import host_ports
from app.domain.environments.operations import Operations
from app.domain.environments.records import Records
from app.domain.environments.service import Environments, Limits
from app.domain.environments.transition_end import TransitionGuard
from app.domain.environments.transitions import Transitions
from app.domain.heartbeat import Heartbeat
from app.domain.quotas.build import build_checks
from app.domain.secrets.values import SecretValues
from app.domain.user_telemetry.build import build_presets
from app.engine import Engine
from app.storage import Database


def build(
    settings: Settings,
    database: Database,
    engine: Engine,
    heartbeat: Heartbeat,
) -> Environments:
    """Return the service of environments."""
    containers = build_containers(settings, database, engine)
    quotas = build_checks(settings)
    transitions = Transitions(database, heartbeat, quotas)
    guard = TransitionGuard(transitions, containers)
    secret_values = SecretValues(settings.secret_keys)
    ports = host_ports(settings)
    return Environments(
        Records(database, secret_values, quotas, ports),
        Changes(database, transitions, containers, guard, secret_values, quotas, ports),
        Operations(database, transitions, containers, guard),
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
        build_presets(settings),
        grace=settings.stop_grace,
        pids_limit=settings.pids_limit,
    )
