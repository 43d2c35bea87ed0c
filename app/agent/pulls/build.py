"""What the agent pulls images with, from the settings."""

from app.agent.pulls.pulls import Pulls
from app.core.settings import Settings
from app.domain.environments.build import build_containers
from app.domain.environments.transition_end import TransitionGuard
from app.domain.environments.transitions import Transitions
from app.domain.heartbeat import Heartbeat
from app.domain.quotas.build import build_checks
from app.engine import Engine
from app.storage import Database


def build_pulls(
    settings: Settings, database: Database, engine: Engine, heartbeat: Heartbeat
) -> Pulls:
    """Return what pulls images for starts that wait for them; the leading agent drives it."""
    containers = build_containers(settings, database, engine)
    transitions = Transitions(database, heartbeat, build_checks(settings))
    return Pulls(database, heartbeat, containers, TransitionGuard(transitions, containers))
