"""Extensions of VS Code: what environments are to have, and what the agent does about it."""

from app.counts import Counts
from app.engine import Engine
from app.extensions.commands import Commands
from app.extensions.installer import Installer, Term
from app.extensions.routes import api
from app.extensions.service import Extensions
from app.extensions.work import Work
from app.settings import Settings
from app.storage import Database

__all__ = ["Extensions", "api", "build_installer"]


def build_installer(
    settings: Settings, database: Database, engine: Engine, counts: Counts, term: Term
) -> Installer:
    """Return what installs extensions in a term of the leading agent."""
    commands = Commands(engine, settings.vscode_program, settings.extension_timeout)
    return Installer(Work(database, counts, term.fence), commands, term)
