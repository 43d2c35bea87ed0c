"""Teams: people who share projects."""

from app.quotas import build_checks
from app.settings import Settings
from app.storage import Database
from app.teams.routes import api
from app.teams.service import Teams

__all__ = ["api", "build"]


def build(settings: Settings, database: Database) -> Teams:
    """Return the service of teams."""
    by_operators = settings.teams_made_by == "operators"
    return Teams(database, build_checks(settings), by_operators=by_operators)
