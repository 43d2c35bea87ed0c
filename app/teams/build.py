"""The service of teams, from the settings."""

from app.quotas.build import build_checks
from app.settings import Settings
from app.storage import Database
from app.teams.service import Teams


def build(settings: Settings, database: Database) -> Teams:
    """Return the service of teams."""
    by_operators = settings.teams_made_by == "operators"
    return Teams(database, build_checks(settings), by_operators=by_operators)
