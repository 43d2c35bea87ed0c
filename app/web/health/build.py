"""The checks behind readiness, from the settings."""

from app.core.settings import Settings
from app.doctor.looks import look_for_agent
from app.engine import Engine
from app.storage import Database
from app.web.health.checks import Check, Checks
from app.web.health.disk import look_at_disk
from app.web.health.docker import DockerLook
from app.web.lifecycle import Lifecycle

WRITES_EVERY = 5.0
"""Seconds for which one change of the database proves that the next is taken: it is small, and a
user's write fails sooner than one looks at Docker."""


def build_checks(
    settings: Settings, database: Database, engine: Engine, lifecycle: Lifecycle
) -> Checks:
    """Return the readiness checks, through the service's own pool and its own Docker client."""
    deadline = settings.health_check_timeout
    docker = DockerLook(engine, deadline, settings.health_check_interval)
    writing = min(WRITES_EVERY, settings.health_check_interval)
    return Checks(
        [
            Check(
                "database",
                lambda: database.probe(deadline, writing),
                required=True,
                deadline=deadline,
            ),
            Check(
                "docker",
                docker,
                required=settings.docker_required,
                deadline=deadline,
                close=docker.close,
            ),
            # Not required by default: requests are answered without an agent, and one lease that
            # ran out would take every web server out of service at once.
            Check(
                "agent",
                lambda: look_for_agent(database, deadline),
                required=settings.agent_required,
                deadline=deadline,
            ),
            # Telemetry fails no request: it is told, and no more.
            Check("disk", look_at_disk, required=False, deadline=deadline),
        ],
        interval=settings.health_check_interval,
        on_ready=lifecycle.serve,
    )
