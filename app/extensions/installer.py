"""Installs and removes extensions, for the leading agent: in a few environments at once."""

import logging
import threading
from functools import partial
from typing import Protocol

from sqlalchemy.orm import Session

from app.errors import ContainerNotFoundError, EngineConflictError, StorageError, VibeBoxError
from app.extensions.commands import Commands, Ended
from app.extensions.work import Work
from app.few_at_once import FewAtOnce
from app.storage import Extension, ExtensionState

AT_ONCE = 3
# What failed for want of Docker or the database is tried again after this.
_AFTER_TROUBLE = 5.0
_log = logging.getLogger(__name__)


class Term(Protocol):
    """What is asked of a term of the leader; see `app.agent.leadership`."""

    over: threading.Event

    @property
    def is_certain(self) -> bool:
        """Whether nobody else can lead yet."""

    def fence(self, session: Session) -> None:
        """Let the transaction commit only in this term."""

    def end(self) -> None:
        """Give the lead up."""


class Installer:
    """Does what `Work` says there is to do; one thread an environment, and none outlives it."""

    def __init__(self, work: Work, commands: Commands, term: Term) -> None:
        self._work = work
        self._commands = commands
        self._term = term
        self._threads = FewAtOnce("extensions", AT_ONCE)

    def run(self) -> None:
        """Begin what can be begun; returns at once. Call it each second. Raises: StorageError."""
        for environment_id in self._work.waiting():
            self._threads.begin(environment_id, partial(self._serve, environment_id))

    def _serve(self, environment_id: str) -> None:
        try:
            while not self._term.over.is_set() and self._step(environment_id):
                pass
        except VibeBoxError as error:
            extra = {"environment": environment_id, "why": error.slug}
            _log.warning("extensions have to wait", extra=extra)
            self._term.over.wait(_AFTER_TROUBLE)
        except Exception:
            _log.exception("extensions have to wait")
            self._term.over.wait(_AFTER_TROUBLE)

    def _step(self, environment_id: str) -> bool:
        """Do one thing; tell whether there was one."""
        taken = self._work.next(environment_id)
        if taken is None:
            return False
        found, container = taken
        if found.state is ExtensionState.UNINSTALLING:
            done = Ended(0, "") if container is None else self._commands.remove(container, found)
            self._work.removed(found, done)
        else:
            self._install(found, container or "")
        return True

    def _install(self, found: Extension, container: str) -> None:
        try:
            ended = self._commands.install(container, found, lambda: self._work.package(found))
        except (ContainerNotFoundError, EngineConflictError):
            self._work.postpone(found)
            raise
        try:
            self._work.installed(found, ended)
        except StorageError:
            # It may be stored: the next term begins with what the database says.
            self._term.end()
            raise
        if not self._term.is_certain:
            self._term.end()
            return
        self._work.tell(ended)
        _log.info(
            "extension installed" if ended.is_success else "extension not installed",
            extra={"environment": found.environment_id, "exit_code": ended.exit_code},
        )
