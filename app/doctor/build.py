"""The table of checks, and the doctor of an installation, from its settings.

The order is that of the answer: what others stand on comes first.
"""

from app.core.settings import Settings
from app.doctor.checks import (
    agent,
    alertmanager,
    clocks,
    collector,
    engine,
    images,
    mail,
    metrics_directory,
    probe,
    prometheus,
    web,
)
from app.doctor.checks import database as database_check
from app.doctor.checks import settings as settings_check
from app.doctor.examination import Doctor
from app.doctor.findings import Check
from app.doctor.looks import Records
from app.domain.alerts.build import build_heartbeat
from app.engine import Engine
from app.storage import Database
from app.stores.build import Stores

NAMES = (
    settings_check.NAME,
    "database",
    "docker",
    "images",
    "clocks",
    "metrics_directory",
    "web",
    "agent",
    "sweeps",
    "synthetic_user",
    "prometheus",
    "alertmanager",
    "collector",
    "mail",
)
"""Of all checks, in their order: also where the settings allow none but the first."""


def build(settings: Settings, database: Database, docker: Engine, stores: Stores) -> Doctor:
    """Return what examines an installation; it looks by what it is given, and closes none of it."""
    return Doctor(checks(settings, database, docker, stores))


def checks(
    settings: Settings, database: Database, docker: Engine, stores: Stores
) -> tuple[Check, ...]:
    """Return the table: a check a row, with those that it cannot do without."""
    watching, records = stores.prometheus, Records(database)
    heartbeat = build_heartbeat(settings, database)
    return (
        Check(settings_check.NAME, settings_check.look),
        Check("database", lambda: database_check.look(database), late=database_check.LATE),
        Check("docker", lambda: engine.look(docker, settings.docker_host), late=engine.LATE),
        Check("images", lambda: images.look(records, docker), ("database", "docker")),
        Check("clocks", lambda: clocks.look(records, docker), late=clocks.LATE),
        Check("metrics_directory", lambda: metrics_directory.look(settings)),
        Check("web", lambda: web.look(settings), seconds=web.SECONDS),
        Check("agent", lambda: agent.look(records), ("database",)),
        Check(
            "sweeps",
            lambda: agent.look_at_sweeps(records, settings),
            ("database", "docker", "agent"),
        ),
        Check(
            "synthetic_user",
            lambda: probe.look(settings, records),
            ("database",),
            follows=("docker", "web", "agent"),
        ),
        Check("prometheus", lambda: prometheus.look(watching), ("web",), prometheus.SECONDS),
        Check(
            "alertmanager",
            lambda: alertmanager.look(settings, records, heartbeat, stores),
            ("database", "web", "prometheus"),
            prometheus.SECONDS,
        ),
        Check("collector", lambda: collector.look(settings), seconds=collector.SECONDS),
        Check("mail", mail.look),
    )
