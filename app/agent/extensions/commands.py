"""What is run in a container to install and remove extensions. No rules live here."""

import logging
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from app.core.errors import (
    CommandRunawayError,
    CommandTimeoutError,
    EngineTimeoutError,
    ExecutableMissingError,
)
from app.core.isolation import reason
from app.domain.sessions.marked import Marked, NotEndedError
from app.engine import Engine, ExecResult
from app.storage import Extension

_MARK = "VIBEBOX_EXTENSION"
_SECONDS = 10.0
_KEPT = 4000
_BROUGHT_AT_ONCE = 2
_BRINGING_SECONDS = 60.0
_log = logging.getLogger(__name__)
# It is the container that does not answer, and not Docker.
_HANGING = (CommandRunawayError, CommandTimeoutError)
_SILENT = f"The shell of the container did not answer within {_SECONDS:g} seconds."
_NO_PROGRAM = 127
_NO_SERVER = "The image holds no VS Code server ({program}); install code-server in the image."

# Tells who we are there.
_PREPARE = "mkdir -p /tmp; id -u && id -g"
# $0: the program, $1: the session's mark as a value, $2: what to install.
_INSTALL = f"""
command -v "$0" >/dev/null || exit {_NO_PROGRAM}
{_MARK}=$1 "$0" --install-extension "$2" --force
code=$?
case $2 in /tmp/vibebox-*) rm -f "$2" ;; esac
exit $code
"""
# What is not there any more is removed.
_REMOVE = f"""
command -v "$0" >/dev/null || exit 0
{_MARK}=$1 "$0" --uninstall-extension "$2" && exit 0
code=$?
"$0" --list-extensions 2>/dev/null | grep -iqxF "$2" && exit $code
exit 0
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended: `exit_code` None where it did not end in time."""

    exit_code: int | None
    output: str

    @property
    def is_success(self) -> bool:
        """Whether the command says that it did it."""
        return self.exit_code == 0


class Commands:
    """Runs them; `seconds` is the deadline of each. Raises: the errors of Docker."""

    def __init__(self, engine: Engine, program: str, seconds: float) -> None:
        self._engine = engine
        self._program = program
        self.seconds = seconds
        # Several copies of a package are in memory while it is brought.
        self._bringing = threading.BoundedSemaphore(_BROUGHT_AT_ONCE)

    def install(
        self, container: str, found: Extension, package: Callable[[], bytes | None]
    ) -> Ended:
        """Install an extension: of the gallery, or from what `package` reads."""
        try:
            owner = self._prepare(container, found)
        except _HANGING:
            return Ended(None, _SILENT)
        target = f"{found.name}@{found.version}" if found.version else found.name
        if found.uploaded:
            target = f"/tmp/vibebox-{found.id}.vsix"
            self._bring(container, target, package() or b"", owner)
        return self._run(container, _INSTALL, found, target)

    def remove(self, container: str, found: Extension) -> Ended:
        """Remove an extension; one that is not there is fine."""
        try:
            self._prepare(container, found)
        except _HANGING:
            return Ended(None, _SILENT)
        return self._run(container, _REMOVE, found, found.name)

    def _bring(self, container: str, target: str, content: bytes, owner: tuple[int, int]) -> None:
        if not self._bringing.acquire(timeout=_BRINGING_SECONDS):
            raise EngineTimeoutError("Other packages are being brought; this one waits.")
        try:
            self._engine.put_file(container, target, content, owner)
        finally:
            self._bringing.release()

    def _prepare(self, container: str, found: Extension) -> tuple[int, int]:
        """End what an earlier attempt left running; return who we are in the container."""
        try:
            Marked(self._engine).end(container, [f"{_MARK}={found.id}"])
        except NotEndedError as error:
            extra = {"extension": found.id, "why": reason(error)}
            _log.warning("earlier installation goes on", extra=extra)
        try:
            answer = self._engine.exec(container, ["sh", "-c", _PREPARE], timeout=_SECONDS)
        except ExecutableMissingError:
            return 0, 0  # without a shell the command itself fails, and says so
        return _owner(answer.stdout)

    def _run(self, container: str, script: str, found: Extension, target: str) -> Ended:
        argv = ["sh", "-c", script, self._program, found.id, target]
        try:
            answer = self._engine.exec(container, argv, timeout=self.seconds)
        except CommandRunawayError as error:
            return Ended(None, error.detail)
        except CommandTimeoutError:
            with suppress(*_HANGING):  # it ends before the next attempt, then
                self._prepare(container, found)
            return Ended(None, f"The command did not end within {self.seconds:g} seconds.")
        except ExecutableMissingError as error:
            return Ended(_NO_PROGRAM, error.detail)
        if answer.exit_code == _NO_PROGRAM and not answer.stderr:
            return Ended(_NO_PROGRAM, _NO_SERVER.format(program=self._program))
        return Ended(answer.exit_code, _said(answer))


def _owner(printed: bytes) -> tuple[int, int]:
    """Return the user and group that a container says we are there; root where it says no such."""
    found = re.fullmatch(rb"\s*(\d{1,9})\s+(\d{1,9})\s*", printed)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _said(answer: ExecResult) -> str:
    """Return the end of what the command wrote; NUL is what PostgreSQL's text cannot hold."""
    both = b"\n".join(part.strip() for part in (answer.stdout, answer.stderr) if part.strip())
    return both.decode(errors="replace").replace("\x00", "")[-_KEPT:]
