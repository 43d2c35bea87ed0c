"""The WebSockets of this process: how many there may be, and the life of each."""

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic

from app.core import signals
from app.core.context import Context, context
from app.core.errors import VibeBoxError
from app.core.trace_context import Said, Trace, follows, task
from app.domain.authorization import Access
from app.web.admission.admission import Admission, Kind
from app.web.admission.held import Held
from app.web.websockets.channel import Channel
from app.web.websockets.closing import closing
from app.web.websockets.wakeup import Wakeup

Handler = Callable[[Channel], None]
"""What is said over a WebSocket: runs in its thread until it is over or the channel closes.

An error of ours that it raises is told to the peer as the reason of the close.
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opening:
    """What a WebSocket is to be: its handler, and the access it needs as long as it lasts."""

    access: Access
    handler: Handler


@dataclass(frozen=True)
class Handshaken:
    """The request that became a WebSocket: its id, address, and trace where there is one."""

    request_id: str
    address: str = ""
    trace: Trace | None = None


class Sockets:
    """Admits WebSockets and runs them, until all of them have to close."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._shutdown_signal: Wakeup | None = None

    def start(self) -> None:
        """Tell how many sockets this process would take; call it once, after fork."""
        self._shutdown_signal = Wakeup()
        signals.emit(signals.websockets_offered, number=self._admission.sockets)

    def close_all(self) -> None:
        """Have all sockets closed by their threads, and any that opens; for signal handlers too."""
        if self._shutdown_signal is not None:
            self._shutdown_signal.set()

    def close(self) -> None:
        """Give back what `start` made; sockets that are open still are left to their fate."""
        shutdown_signal, self._shutdown_signal = self._shutdown_signal, None
        if shutdown_signal is not None:
            shutdown_signal.close()

    def admit(self, access: Access) -> Held:
        """Take a place; close it after use. Raises: TooManySocketsError, ShareExceededError."""
        return self._admission.open(Kind.SOCKET, access)

    def run(
        self, peer: socket.socket, kind: str, handler: Handler, held: Held, handshake: Handshaken
    ) -> None:
        """Serve a connection whose handshake is done, to its end; nothing is raised.

        What is done for it now and then is a span of its own, linked to the handshake; all of it as
        one would be as long as somebody looks. `peer` and `held` stay the caller's to close.
        """
        if self._shutdown_signal is None:
            raise RuntimeError("sockets are served after start() only")
        _continue(handshake)
        started = monotonic()
        messages = {"in": 0, "out": 0}

        def count(direction: str) -> None:
            messages[direction] += 1
            signals.emit(signals.websocket_message, direction=direction, kind=kind)

        channel = Channel(peer, self._shutdown_signal, count, held=held)
        signals.emit(signals.websocket_opened, kind=kind)
        try:
            _run_handler(channel, handler, held)
            _finish(channel, kind)
        except Exception:
            _log.exception("websocket failed", extra={"kind": kind})
        finally:
            signals.emit(signals.websocket_closed, kind=kind)
            code, reason = channel.ending
            fields = {"kind": kind, "code": int(code), "reason": reason, "messages": messages}
            _log.info("websocket closed", extra={**fields, "seconds": round(monotonic() - started)})
            _continue(Handshaken(""))


def _continue(handshake: Handshaken) -> None:
    """Make what this thread does the handshake's: log lines carry its ids, spans are linked."""
    trace = handshake.trace
    trace_id = trace.trace_id if trace is not None else ""
    context.set(Context(handshake.request_id, handshake.address, trace_id))
    follows.set(trace)


def _finish(channel: Channel, kind: str) -> None:
    """Say goodbye; what the handler has ended already is only told."""
    code, _ = channel.ending
    said: Said = {"vibebox.websocket.kind": kind, "vibebox.websocket.code": int(code)}
    with task("websocket close", said=said):
        channel.finish()


def _run_handler(channel: Channel, handler: Handler, held: Held) -> None:
    """Run the handler, and tell the peer what went wrong."""
    try:
        handler(channel)
    except Exception as error:
        if not isinstance(error, VibeBoxError) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.exception("websocket failed")  # the peer is told a sentence only
        channel.close(*closing(held.why(error)))
