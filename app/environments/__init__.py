"""Environments: records of what a developer asked for, and the containers that run it."""

from app.engine import Engine
from app.environments.containers import Containers
from app.environments.routes import api
from app.environments.service import Environments
from app.environments.transitions import Transitions
from app.settings import Settings
from app.storage import Database

__all__ = ["api", "build"]


def build(settings: Settings, database: Database, engine: Engine) -> Environments:
    """Return the service of environments."""
    # No live passage is older than its calls may take: two of the lifecycle kind and two
    # inspections, with the container's grace in between.
    longest = 2 * settings.engine_lifecycle_timeout + 2 * settings.engine_query_timeout
    return Environments(
        database,
        Transitions(database, abandoned_after=longest + 2 * settings.stop_grace + 60),
        Containers(engine, grace=settings.stop_grace, pids_limit=settings.pids_limit),
    )
