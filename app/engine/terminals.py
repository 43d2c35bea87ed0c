"""The gateway's terminals: commands with a tty, over a connection that is theirs alone.

Docker turns the connection of such an exec into a plain stream of bytes both ways (it "hijacks"
it), and offers no way to end the command: whoever starts one sees to that, with another exec.
"""

import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from docker.errors import APIError

from app.core.deadline import required
from app.core.errors import EngineError, ExecutableMissingError
from app.engine.calls import EngineCalls, checked
from app.engine.client import EngineClient
from app.engine.containers import identifier
from app.engine.execution import NOT_STARTED
from app.engine.translation import names_missing_executable
from app.engine.transport import shut_down
from app.engine.values import ExecState

_CHUNK = 64 * 1024
_POLL_SECONDS = 0.02


class Terminal:
    """Implements `TerminalStream`; one thread uses it."""

    pid: int | None = None

    def __init__(self, connection: socket.socket, first: bytes, exec_id: str) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._first = first
        self.exec_id = exec_id

    def fileno(self) -> int:
        """See `TerminalStream`."""
        return self._connection.fileno()

    def read(self) -> bytes | None:
        """See `TerminalStream.read`."""
        if self._first:
            first, self._first = self._first, b""
            return first
        try:
            return self._connection.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError:  # the engine is gone, and the command out of reach
            return b""

    def write(self, data: bytes) -> int:
        """See `TerminalStream.write`."""
        try:
            return self._connection.send(data)
        except BlockingIOError:
            return 0
        except OSError:  # it has ended: `read` tells
            return len(data)

    def close(self) -> None:
        """See `TerminalStream.close`."""
        shut_down(self._connection)
        self._connection.close()


class Terminals(EngineCalls):
    """Commands with a tty."""

    def terminal(
        self,
        container: str,
        argv: Sequence[str],
        *,
        cols: int,
        rows: int,
        env: Mapping[str, str] | None = None,
    ) -> Terminal:
        """See `Engine.terminal`."""
        with self._call(self._query_timeout) as client:
            made = client.exec_create(
                checked(container),
                list(argv),
                stdin=True,
                tty=True,
                environment=dict(env or {}),
                detach_keys=_never_typed(),
            )
            exec_id = identifier(made)
            connection, first = client.attach_exec(exec_id)
            terminal = Terminal(connection, first, exec_id)
            try:
                state = self._wait_started(client, exec_id)
                terminal.pid = state.pid
                _refuse_missing(terminal, state, argv[0])
                if state.running:
                    _resize(client, exec_id, cols, rows)
            except BaseException:
                terminal.close()
                raise
        return terminal

    def resize_terminal(self, exec_id: str, *, cols: int, rows: int) -> None:
        """See `Engine.resize_terminal`."""
        with self._call(self._query_timeout) as client:
            _resize(client, checked(exec_id), cols, rows)

    def inspect_exec(self, exec_id: str) -> ExecState:
        """See `Engine.inspect_exec`."""
        with self._call(self._query_timeout) as client:
            return _state(client.exec_inspect(checked(exec_id)))

    @staticmethod
    def _wait_started(client: EngineClient, exec_id: str) -> ExecState:
        """Wait until the command runs or has ended: the connection is there before it."""
        while True:
            answer: dict[str, Any] = client.exec_inspect(exec_id)
            state = _state(answer)
            if state.exit_code is not None or state.pid is not None:
                return state
            time.sleep(min(_POLL_SECONDS, required()))


def _never_typed() -> str:
    """Return keys at which Docker lets go of a command: some are always set.

    With its own (Ctrl-P Ctrl-Q) the engine holds back each Ctrl-P until the next key, and a paste
    that has both bytes in it ends the terminal. It holds back the first key of ours too: NUL, of
    which nobody sees that it comes with the next one.
    """
    return ",".join(("ctrl-@", *secrets.token_hex(16)))


def _resize(client: EngineClient, exec_id: str, cols: int, rows: int) -> None:
    """Resize the tty; of a command that has ended meanwhile there is none, which is fine."""
    try:
        client.exec_resize(exec_id, height=rows, width=cols)
    except APIError:
        if _state(client.exec_inspect(exec_id)).running:
            raise


def _refuse_missing(terminal: Terminal, state: ExecState, program: str) -> None:
    """Raise ExecutableMissingError where the engine says so in place of the command's output."""
    if state.exit_code not in NOT_STARTED:
        return
    said = terminal.read() or b""
    text = said.decode(errors="replace")
    if text.startswith("OCI runtime exec failed") and names_missing_executable(text):
        raise ExecutableMissingError(
            f"The container has no command {program!r} that can be executed; install it first."
        )
    terminal._first = said


def _state(answer: dict[str, Any]) -> ExecState:
    try:
        running, code = bool(answer["Running"]), answer["ExitCode"]
        pid = int(answer.get("Pid") or 0) if running else 0
        return ExecState(running, None if running or code is None else int(code), pid or None)
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError("Docker Engine described a command in an unknown way.") from error
