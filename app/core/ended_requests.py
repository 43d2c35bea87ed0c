"""Requests that can be ended from outside, whatever the receiver does.

A time-out of a socket bounds each piece of an answer, and not the whole of it: who waits for a
dripping one in a thread of its own shuts the connection when it gives up, and the thread ends.
"""

import socket
from contextlib import suppress
from threading import Lock
from typing import Any

import requests
from requests.adapters import HTTPAdapter


class Ends(HTTPAdapter):
    """Knows the connection of a session that makes one request after another."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._connection: Any = None
        self._socket: socket.socket | None = None
        self._is_over = False
        super().__init__()

    @classmethod
    def of(cls, session: requests.Session) -> "Ends":
        """Have the requests of a session end by what is returned."""
        ends = cls()
        session.mount("http://", ends)
        session.mount("https://", ends)
        return ends

    def get_connection_with_tls_context(self, *arguments: Any, **named: Any) -> Any:
        """Return the pool, as requests asks for it."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **named)
        kind = type(pool).ConnectionCls

        def made(**options: Any) -> Any:
            connection = kind(**options)
            connect = connection.connect

            def connected() -> None:
                connect()
                self._keep(connection.sock)

            connection.connect = connected
            self._connection = connection
            return connection

        pool.ConnectionCls = made
        return pool

    def _keep(self, to: socket.socket) -> None:
        """Note a socket: a response may take it away from its connection."""
        with self._lock:
            self._socket = to
            if self._is_over:
                raise OSError("it was given up")

    def end(self) -> None:
        """End what is waited for; nothing more is sent."""
        with self._lock:
            self._is_over = True
            # Before it is kept it may be that of a proxy, which drips too.
            for one in {self._socket, getattr(self._connection, "sock", None)}:
                if one is not None:
                    with suppress(OSError):
                        one.shutdown(socket.SHUT_RDWR)
