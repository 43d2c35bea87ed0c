"""The service of projects."""

from app.domain.projects.service import Projects
from app.storage import Database


def build(database: Database) -> Projects:
    """Return the service of projects."""
    return Projects(database)
