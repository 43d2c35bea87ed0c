"""Sessions: shells, tmux and VS Code servers in environments, and their terminals."""

from app.sessions.on_start import SessionsOnStart
from app.sessions.routes import api
from app.sessions.service import Sessions
from app.sessions.terminal_routes import api as terminals_api
from app.sessions.truth import SessionTruth
from app.sessions.vscode import Server
from app.settings import Settings

__all__ = [
    "SessionTruth",
    "Sessions",
    "SessionsOnStart",
    "api",
    "build_server",
    "terminals_api",
]


def build_server(settings: Settings) -> Server:
    """Return what a VS Code server is here."""
    return Server(
        settings.vscode_program,
        settings.vscode_port,
        settings.vscode_start_timeout,
        settings.connection_host or settings.publish_address,
    )
