"""What installs extensions, from the settings."""

from app.counts import Counts
from app.engine import Engine
from app.extensions.commands import Commands
from app.extensions.installer import Installer, Term
from app.extensions.work import Work
from app.settings import Settings
from app.storage import Database


def build_installer(
    settings: Settings, database: Database, engine: Engine, counts: Counts, term: Term
) -> Installer:
    """Return what installs extensions in a term of the leading agent."""
    commands = Commands(engine, settings.vscode_program, settings.extension_timeout)
    return Installer(Work(database, counts, term.fence), commands, term)
