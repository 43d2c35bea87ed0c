"""Teams: people who share projects."""

from app.storage import Database
from app.teams.routes import api
from app.teams.service import Teams

__all__ = ["api", "build"]


def build(database: Database) -> Teams:
    """Return the service of teams."""
    return Teams(database)
