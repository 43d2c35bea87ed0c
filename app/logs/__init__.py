"""What containers wrote: the agent takes it in and lets it go, the API shows it."""

from app.logs.intake import LogIntake
from app.logs.retention import LogRetention
from app.logs.routes import api
from app.logs.service import Logs
from app.logs.stream_routes import api as streams_api
from app.storage import Database
from app.websockets.lookout import Lookout

__all__ = ["LogIntake", "LogRetention", "api", "build", "streams_api"]


def build(database: Database, lookout: Lookout) -> Logs:
    """Return the service of logs; `lookout` is that of the process."""
    return Logs(database, lookout)
