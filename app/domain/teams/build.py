"""The service of teams, from the settings."""

from app.core.settings import Settings
from app.domain.quotas.build import build_checks
from app.domain.teams.service import Teams
from app.storage import Database


def build(settings: Settings, database: Database) -> Teams:
    """Return the service of teams."""
    by_operators = settings.teams_made_by == "operators"
    return Teams(database, build_checks(settings), by_operators=by_operators)
