"""Sessions: shells and tmux in environments, and their terminals."""

from app.sessions.routes import api
from app.sessions.service import Sessions
from app.sessions.terminal_routes import api as terminals_api
from app.sessions.truth import SessionTruth

__all__ = ["SessionTruth", "Sessions", "api", "terminals_api"]
