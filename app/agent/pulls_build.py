"""What the agent pulls images with, from the settings."""

from app.engine import Engine
from app.environments.build import build_containers
from app.environments.pulls import Pulls
from app.environments.settling import Settling
from app.environments.transitions import Transitions
from app.processes import Presence
from app.quotas.build import build_checks
from app.settings import Settings
from app.storage import Database


def build_pulls(
    settings: Settings, database: Database, engine: Engine, presence: Presence
) -> Pulls:
    """Return what pulls images for starts that wait for them; the leading agent drives it."""
    containers = build_containers(settings, database, engine)
    transitions = Transitions(database, presence, build_checks(settings))
    return Pulls(database, presence, containers, Settling(transitions, containers))
