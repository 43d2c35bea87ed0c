"""The WebSockets of this process: how many there may be, and the life of each."""

import logging
import socket
from collections.abc import Callable
from time import monotonic

from app import signals
from app.errors import StorageError, TooManySocketsError, VibeBoxError
from app.logging import request_id
from app.slots import Slots
from app.websockets.bell import Bell
from app.websockets.channel import Channel

Talk = Callable[[Channel], None]
"""What is said over a WebSocket: runs in its thread until it is over or the channel closes.

An error of ours that it raises is told to the peer as the reason of the close.
"""

TRY_AGAIN_LATER = 1013
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
_log = logging.getLogger(__name__)


class Sockets:
    """Admits WebSockets and runs them, until all of them have to close."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._goodbye: Bell | None = None

    def start(self) -> None:
        """Tell how many sockets this process would take; call it once, after fork."""
        self._goodbye = Bell()
        signals.emit(signals.websockets_offered, number=self._slots.number)

    def close_all(self) -> None:
        """Have all sockets closed by their threads, and any that opens; for signal handlers too."""
        if self._goodbye is not None:
            self._goodbye.ring()

    def close(self) -> None:
        """Give back what `start` made; sockets that are open still are left to their fate."""
        goodbye, self._goodbye = self._goodbye, None
        if goodbye is not None:
            goodbye.close()

    def admit(self) -> Callable[[], None]:
        """Take a slot and return what gives it back. Raises: TooManySocketsError."""
        if not self._slots.take():
            raise TooManySocketsError
        return self._slots.give_back

    def run(self, peer: socket.socket, kind: str, talk: Talk, id: str) -> None:
        """Talk over a connection whose handshake is done, to its end; nothing is raised.

        `id` is that of the request; `peer` stays the caller's to close.
        """
        if self._goodbye is None:
            raise RuntimeError("sockets are served after start() only")
        request_id.set(id)
        started = monotonic()
        messages = {"in": 0, "out": 0}

        def count(direction: str) -> None:
            messages[direction] += 1
            signals.emit(signals.websocket_message, direction=direction, kind=kind)

        channel = Channel(peer, self._goodbye, count)
        signals.emit(signals.websocket_opened, kind=kind)
        try:
            _converse(channel, talk)
            channel.finish()
        except Exception:
            _log.exception("websocket failed", extra={"kind": kind})
        finally:
            signals.emit(signals.websocket_closed, kind=kind)
            code, _ = channel.ending
            fields = {"kind": kind, "code": int(code), "messages": messages}
            _log.info("websocket closed", extra={**fields, "seconds": round(monotonic() - started)})
            request_id.set("")


def _converse(channel: Channel, talk: Talk) -> None:
    """Talk, and tell the peer what went wrong."""
    try:
        talk(channel)
    except StorageError as error:
        channel.close(TRY_AGAIN_LATER, error.detail)
    except VibeBoxError as error:
        # What was allowed at the beginning is not any more, or what it was about is gone.
        refused = error.status < 500
        channel.close(POLICY_VIOLATION if refused else INTERNAL_ERROR, error.title)
    except Exception:
        _log.exception("websocket failed")
        channel.close(INTERNAL_ERROR, "something went wrong on our side")
