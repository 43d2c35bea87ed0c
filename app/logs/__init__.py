"""What containers wrote: the agent takes it in and lets it go, the API shows it."""

from app.logs.intake import LogIntake
from app.logs.retention import LogRetention
from app.logs.routes import api
from app.logs.service import Logs
from app.storage import Database

__all__ = ["LogIntake", "LogRetention", "api", "build"]


def build(database: Database) -> Logs:
    """Return the service of logs."""
    return Logs(database)
