"""Projects: what environments belong to."""

from app.projects.routes import api
from app.projects.service import Projects
from app.storage import Database

__all__ = ["api", "build"]


def build(database: Database) -> Projects:
    """Return the service of projects."""
    return Projects(database)
