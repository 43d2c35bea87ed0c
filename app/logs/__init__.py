"""What containers wrote: the agent takes it in and lets it go, the API shows it."""

from app.logs.intake import LogIntake
from app.logs.retention import LogRetention
from app.logs.routes import api
from app.logs.service import Logs
from app.logs.stream_routes import api as streams_api
from app.storage import Database

__all__ = ["LogIntake", "LogRetention", "api", "build", "streams_api"]


def build(database: Database) -> Logs:
    """Return the service of logs."""
    return Logs(database)
