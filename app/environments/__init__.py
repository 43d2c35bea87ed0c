"""Environments: records of what a developer asked for, and the containers that run it."""

from app.engine import Engine
from app.environments.containers import Containers
from app.environments.installation import InstallationId
from app.environments.routes import api
from app.environments.service import Environments
from app.environments.transitions import Transitions
from app.processes import Presence
from app.settings import Settings
from app.storage import Database

__all__ = ["api", "build"]


def build(
    settings: Settings, database: Database, engine: Engine, presence: Presence
) -> Environments:
    """Return the service of environments."""
    return Environments(
        database,
        Transitions(database, presence),
        Containers(
            engine,
            grace=settings.stop_grace,
            pids_limit=settings.pids_limit,
            instance=InstallationId(database),
        ),
    )
