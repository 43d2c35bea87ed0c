"""The services of sessions, from the settings."""

from app.core.settings import Settings
from app.domain.heartbeat import Heartbeat
from app.domain.sessions.service import Sessions
from app.domain.sessions.vscode import Server
from app.engine import Engine
from app.storage import Database


def build(settings: Settings, database: Database, engine: Engine, heartbeat: Heartbeat) -> Sessions:
    """Return the service of sessions."""
    return Sessions(database, engine, heartbeat, build_server(settings))


def build_server(settings: Settings) -> Server:
    """Return what a VS Code server is here."""
    return Server(
        settings.vscode_program,
        settings.vscode_port,
        settings.vscode_start_timeout,
        settings.connection_host or settings.publish_address,
    )
