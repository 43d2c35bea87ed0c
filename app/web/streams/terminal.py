"""A terminal over a WebSocket: bytes both ways between a client and a command in a container."""

import json
import logging
import select
from collections.abc import Collection
from math import inf
from time import monotonic

from websockets.frames import CloseCode

from app.core.errors import EngineError, SessionConflictError
from app.core.isolation import reason
from app.core.trace_context import task, traceparent
from app.domain.authorization import Access, Action, Identity
from app.domain.heartbeat import Heartbeat
from app.domain.sessions import programs
from app.domain.sessions.marked import NotEndedError
from app.domain.sessions.records import Claimed, SessionRecords
from app.domain.sessions.watched import WatchedSessions
from app.engine import Engine, TerminalStream
from app.storage import Database, EnvironmentSession, SessionType
from app.web.streams.pasting import Paste
from app.web.streams.session_looks import SessionLooks
from app.web.streams.terminal_messages import Resize, Shown, parse
from app.web.websockets.assembly import Message
from app.web.websockets.channel import Channel
from app.web.websockets.closing import closing
from app.web.websockets.polling_hub import PollingHub, View
from app.web.websockets.sockets import Opening

UNSUPPORTED_DATA = 1003
NORMAL = 1000
WINDOW = 256 * 1024
"""Bytes of input that may wait for the command; whoever sends more has to wait."""

AHEAD = 1024 * 1024
"""Bytes of output that go out before a client that tells what it has shown has shown them."""

# After so many bytes the client is told that the command has taken them: it lets the next ones go.
_TOLD_AFTER = 32 * 1024
_PIECE = 64 * 1024
# Docker knows the exit code a moment after the end of the output.
_EXIT_SECONDS = 2.0
_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR
_log = logging.getLogger(__name__)


class Terminals:
    """Opens terminals of sessions; `app.domain.authorization` decides whose."""

    def __init__(
        self, database: Database, engine: Engine, heartbeat: Heartbeat, hub: PollingHub
    ) -> None:
        self._engine = engine
        self._records = SessionRecords(database, heartbeat)
        self._watching = hub, SessionLooks(WatchedSessions(database))

    def open(
        self,
        identity: Identity,
        session_id: str,
        size: tuple[int, int],
        *,
        acknowledge: bool = False,
    ) -> Opening:
        """Return what serves a terminal of the session, of (columns, rows).

        With `acknowledge` the client is told how much of its input the command has taken.

        Raises: SessionNotFoundError, PermissionDeniedError, SessionConflictError.
        """
        found = self._records.get(identity, session_id, Action.SESSION_USE)
        self._records.refuse(found)
        handler = TerminalHandler(
            self._records, self._engine, self._watching, identity, found, size, acknowledge
        )
        return Opening(Access(identity, Action.SESSION_USE, found.environment_id), handler)


class TerminalHandler:
    """Serves one terminal; called with its channel, in the channel's thread."""

    def __init__(
        self,
        records: SessionRecords,
        engine: Engine,
        watching: tuple[PollingHub, SessionLooks],
        identity: Identity,
        found: EnvironmentSession,
        size: tuple[int, int],
        acknowledge: bool = False,
    ) -> None:
        self._records = records
        self._engine = engine
        self._hub, self._looks = watching
        self._session = found
        self._is_shell = found.type is SessionType.SHELL
        self._pids: Collection[int] = ()
        self._cols, self._rows = size
        self._input = bytearray()
        self._paste = Paste()
        self._taken = 0
        self._ahead: int | None = None  # known of a client that tells what it has shown
        self._acknowledges = acknowledge
        self._identity = identity
        # Of the handshake, which has ended when the command begins.
        self._traceparent = traceparent()

    def __call__(self, channel: Channel) -> None:
        """Carry bytes both ways until the command ends or the client goes.

        Raises: errors of ours.
        """
        claimed: Claimed | None = None
        try:
            with task("terminal attach"):
                claimed = self._records.claim(self._session)
                stream = self._begin(claimed)
            self._serve(channel, stream)
        except Exception as error:
            if claimed is not None:
                channel.close(*closing(error))
            raise
        finally:
            if claimed is not None:
                channel.finish()  # nobody needs to wait for what comes now
                draining = channel.ending[0] == CloseCode.GOING_AWAY
                with task("terminal end"):
                    self._close(claimed.terminal_id, draining=draining)

    def _begin(self, claimed: Claimed) -> TerminalStream:
        argv, env = programs.command(self._session, claimed.terminal_id, claimed.folder)
        if self._traceparent is not None:
            env = {**env, "TRACEPARENT": self._traceparent}
        stream = self._engine.terminal(
            self._session.container_id, argv, cols=self._cols, rows=self._rows, env=env
        )
        try:
            self._pids = {stream.pid} if stream.pid else set()
            self._records.note_exec(self._identity, self._session, claimed.terminal_id, stream)
        except BaseException:
            stream.close()
            raise
        return stream

    def _serve(self, channel: Channel, stream: TerminalStream) -> None:
        try:
            with self._hub.watching("sessions", self._session.id, self._looks) as view:
                ended = self._pump(channel, stream, view)
            if ended:
                self._say_goodbye(channel, stream.exec_id)
        finally:
            stream.close()

    def _pump(self, channel: Channel, stream: TerminalStream, view: View[bool]) -> bool:
        """Carry bytes both ways; tell whether it was the command that ended."""
        first = stream.read()
        if first:
            channel.send(first)
        output, looked = stream.fileno(), view.wakeup.fileno()
        while channel.open and first != b"":
            # Whoever does not keep up makes the command wait, as any terminal does.
            wanted = select.POLLIN if channel.room and self._keeps_up else 0
            wanted |= select.POLLOUT if self._input else 0
            watched = {looked: select.POLLIN} | ({output: wanted} if wanted else {})
            channel.hold = bool(self._input) or self._paste.goes_on
            pause = Paste.QUIET if channel.hold else inf
            ready = channel.run_once(pause, watched, read=len(self._input) < WINDOW)
            readable = ready.get(output, 0) & _READABLE
            if readable and channel.room and self._keeps_up and self._forward(channel, stream):
                return True
            self._take(channel, stream)
            if looked in ready:
                _look(channel, view)
        return first == b""

    @property
    def _keeps_up(self) -> bool:
        return self._ahead is None or self._ahead < AHEAD

    def _forward(self, channel: Channel, stream: TerminalStream) -> bool:
        """Send what the command wrote; tell whether it has ended."""
        data = stream.read()
        if data:
            self._looks.note_use(self._session.id)
            self._paste.note_output()
            channel.send(data)
            if self._ahead is not None:
                self._ahead += len(data)
        return data == b""

    def _take(self, channel: Channel, stream: TerminalStream) -> None:
        """Give the command what the client sent."""
        size = None
        for message in channel.received():
            if isinstance(message, bytes):
                self._looks.note_use(self._session.id)
                self._paste.note_input(len(message))
                self._input += message
            else:
                size = self._obey(channel, message) or size
        if size is not None:
            self._looks.note_use(self._session.id)
            self._resize(stream.exec_id, size)
        if self._input:
            self._give(channel, stream)

    def _give(self, channel: Channel, stream: TerminalStream) -> None:
        """Give the command what it takes now, and tell the client how much that was."""
        taken = stream.write(bytes(self._input[:_PIECE]))
        del self._input[:taken]
        self._taken += taken
        if self._acknowledges and self._taken >= _TOLD_AFTER:
            channel.send(json.dumps({"type": "taken", "bytes": self._taken}))
            self._taken = 0

    def _obey(self, channel: Channel, message: Message) -> Resize | None:
        """Do what a text message says; return the size that it asks for."""
        try:
            asked = parse(message)
        except ValueError:
            channel.close(UNSUPPORTED_DATA, "text messages are resize, shown and ping, in JSON")
            return None
        if isinstance(asked, Resize):
            return asked
        if isinstance(asked, Shown):
            self._ahead = max(0, (self._ahead or 0) - asked.bytes)
        else:
            channel.send('{"type": "pong"}')
        return None

    def _resize(self, exec_id: str, size: Resize) -> None:
        try:
            with task("terminal resize"):
                self._engine.resize_terminal(exec_id, cols=size.cols, rows=size.rows)
        except EngineError as error:  # it has just ended, or keeps its size
            _log.info("terminal not resized", extra={"why": str(error)})

    def _say_goodbye(self, channel: Channel, exec_id: str) -> None:
        """Tell how the command ended, and record the end of the session where it is one."""
        code = self._exit_code(exec_id)
        if self._is_shell:
            self._records.end(self._session.id, code)
            channel.close(NORMAL, "ended" if code is None else f"exit code {code}")
        elif self._is_tmux_over():
            self._records.end(self._session.id, None)
            channel.close(NORMAL, "the session has ended")
        else:
            channel.close(NORMAL, "detached")

    def _is_tmux_over(self) -> bool:
        """Tell whether the session is gone; where that cannot be told the agent finds out."""
        try:
            living = programs.tmux_activity(self._engine, self._session.container_id)
        except EngineError:
            return False
        return self._session.name not in living

    def _exit_code(self, exec_id: str) -> int | None:
        ends_at = monotonic() + _EXIT_SECONDS
        while monotonic() < ends_at:
            try:
                state = self._engine.inspect_exec(exec_id)
            except EngineError:
                return None
            if state.exit_code is not None:
                return state.exit_code
            select.select([], [], [], 0.05)
        return None

    def _close(self, terminal_id: str, *, draining: bool) -> None:
        """See to it that the command of the terminal ends, and with it a shell.

        A process that is about to end leaves the others to the agent: there may be many.
        """
        if draining and not self._is_shell:
            self._records.leave(self._session.id, terminal_id)
            return
        found = self._session
        try:
            if self._is_shell:
                programs.end(self._engine, found, self._pids)
            else:
                programs.end_terminals(self._engine, found.container_id, [terminal_id], self._pids)
        except (EngineError, NotEndedError) as error:
            extra = {"session": found.id, "why": reason(error)}
            _log.warning("terminal not closed; the agent will", extra=extra)
            self._records.leave(found.id, terminal_id)
        else:
            self._records.close(found, terminal_id)


def _look(channel: Channel, view: View[bool]) -> None:
    """Leave where the session has ended. Raises: what says that it is ours no more."""
    try:
        view.take()
    except SessionConflictError:
        channel.close(NORMAL, "the session was ended")
