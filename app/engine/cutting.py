"""Ending a call of another thread, whatever it waits for."""

import socket
import threading
from contextlib import suppress


class Cut:
    """Given to a call; `cut` then ends it at once by shutting its connection down.

    Docker Engine notices that nobody listens any more, and lets go of what it did for the call.
    """

    def __init__(self) -> None:
        self.done = False
        self._connection: socket.socket | None = None
        self._lock = threading.Lock()

    def connecting(self, connection: socket.socket) -> None:
        """Take the connection before the engine is asked; for the call's thread."""
        with self._lock:
            self._connection = connection
            if self.done:
                _shut_down(connection)

    def over(self) -> None:
        """Let go of the connection before it is closed; for the call's thread."""
        with self._lock:
            self._connection = None

    def cut(self) -> None:
        """End the call, or keep it from beginning; from any thread."""
        with self._lock:
            self.done = True
            if self._connection is not None:
                _shut_down(self._connection)


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # it may have ended already
        connection.shutdown(socket.SHUT_RDWR)
