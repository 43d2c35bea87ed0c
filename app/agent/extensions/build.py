"""What installs extensions, from the settings."""

from app.agent.extensions.commands import Commands
from app.agent.extensions.installer import Installer, Term
from app.agent.extensions.work import Work
from app.core.settings import Settings
from app.domain.durable_counters import DurableCounters
from app.engine import Engine
from app.storage import Database


def build_installer(
    settings: Settings, database: Database, engine: Engine, counts: DurableCounters, term: Term
) -> Installer:
    """Return what installs extensions in a term of the leading agent."""
    commands = Commands(engine, settings.vscode_program, settings.extension_timeout)
    return Installer(Work(database, counts, term.fence), commands, term)
