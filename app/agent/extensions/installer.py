"""Installs and removes extensions, for the leading agent: in a few environments at once."""

import logging
import threading
from time import monotonic
from typing import Protocol

from sqlalchemy.orm import Session

from app.agent.extensions.commands import Commands, Ended
from app.agent.extensions.work import Work
from app.core.errors import ContainerNotFoundError, EngineConflictError, StorageError
from app.core.isolation import Loop
from app.core.items import Items
from app.core.trace_context import asked_by, task
from app.storage import Extension, ExtensionState

AT_ONCE = 4
# How long one environment may go on while others wait; what has begun comes to its end.
_TURN_SECONDS = 20.0
_SPARE_SECONDS = 60.0
_log = logging.getLogger(__name__)


class Term(Protocol):
    """What is asked of a term of the leader; see `app.agent.leader.election`."""

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
        # An installation may be asked for in a container that answers slowly before and after it.
        seconds = commands.seconds + _SPARE_SECONDS
        self._environments = Items(
            Loop.EXTENSIONS, seconds=seconds, at_once=AT_ONCE, on_lost=term.end
        )

    def run(self) -> None:
        """Begin what can be begun; returns at once. Call it each second. Raises: StorageError."""
        self._environments.begin(self._work.waiting(), self._serve)

    def close(self, seconds: float) -> list[str]:
        """Begin nothing any more; return the environments in which something goes on after that."""
        return self._environments.close(seconds)

    def _serve(self, environment_id: str) -> None:
        """Do what there is, one after the other, until it is somebody else's turn."""
        ends_at = monotonic() + _TURN_SECONDS
        while not self._term.over.is_set() and self._step(environment_id):
            if monotonic() >= ends_at:
                return

    def _step(self, environment_id: str) -> bool:
        """Do one thing; tell whether to look for another one."""
        taken = self._work.next(environment_id)
        if taken is None:
            return False
        found, container = taken
        with task("extension", asked_by(found.traceparent)):
            return self._settle(found, container)

    def _settle(self, found: Extension, container: str | None) -> bool:
        if found.state is ExtensionState.UNINSTALLING:
            done = Ended(0, "") if container is None else self._commands.remove(container, found)
            self._work.removed(found, done)
        else:
            return self._install(found, container or "")
        return True

    def _install(self, found: Extension, container: str) -> bool:
        try:
            ended = self._commands.install(container, found, lambda: self._work.package(found))
        except (ContainerNotFoundError, EngineConflictError):
            self._work.postpone(found)  # it has ended: its record is mended first
            return False
        try:
            self._work.installed(found, ended)
        except StorageError:
            # It may be stored: the next term begins with what the database says.
            self._term.end()
            raise
        if not self._term.is_certain:
            self._term.end()
            return False
        self._work.tell(ended)
        _log.info(
            "extension installed" if ended.is_success else "extension not installed",
            extra={"environment": found.environment_id, "exit_code": ended.exit_code},
        )
        return True
