"""The terminal of a shell, as the console opens it: a WebSocket by the public address."""

import secrets
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from app.probing import connecting
from app.probing.failure import StepError
from app.probing.http import Service

_SUBPROTOCOLS: Any = ["vibebox.v1"]
_KEPT = 4096
"""Bytes of output that are looked through: what was asked for comes first."""
_PROXY = (
    "Let the proxy pass on Upgrade and Connection for /api/v1 (deploy/nginx shows it), and see its "
    "log."
)


class Terminal:
    """Runs a command in a session's terminal; `shut` ends it from any thread."""

    def __init__(self, service: Service, seconds: float) -> None:
        self._service = service
        self._seconds = seconds
        self._connection: ClientConnection | None = None
        self._shut = False

    def shut(self) -> None:
        """End what is under way, and what comes."""
        self._shut = True
        if (connection := self._connection) is not None:
            # Closing it would not wake the thread that reads from it.
            with suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)

    def run(self, session_id: str) -> None:
        """Have the shell print something random, and read it back. Raises: StepError."""
        with self._open(session_id) as connection:
            self._connection = connection
            if self._shut:
                raise StepError("The terminal opened too late.", _PROXY)
            first, second = secrets.token_hex(8), secrets.token_hex(8)
            # Typed in two halves: what the terminal echoes is not what the shell prints.
            try:
                connection.send(f"echo '{first}''{second}'\n".encode())
                self._await(connection, (first + second).encode())
            except (ConnectionClosed, OSError) as error:
                raise StepError(
                    f"The terminal ended before the command had answered ({_said(error)}).",
                    "See the proxy's time-outs and log; where it is in order, whether the image's "
                    "shell (sh) ends at once.",
                ) from error
            finally:
                self._connection = None

    def _await(self, connection: ClientConnection, wanted: bytes) -> None:
        seen = b""
        while wanted not in seen:
            message = connection.recv(timeout=self._seconds)
            if isinstance(message, bytes):
                seen = (seen + message)[-_KEPT:]

    def _open(self, session_id: str) -> ClientConnection:
        target = self._service.target
        parts = urlsplit(target.url)
        secure = parts.scheme == "https"
        place = f"{parts.netloc}{parts.path.rstrip('/')}"
        url = f"{'wss' if secure else 'ws'}://{place}/api/v1/sessions/{session_id}/terminal"
        try:
            return connect(
                url,
                additional_headers=self._service.headers,
                subprotocols=_SUBPROTOCOLS,
                compression=None,
                ssl=connecting.context(target.certificate) if secure else None,
                proxy=None,
                open_timeout=self._seconds,
                close_timeout=1,
                user_agent_header=None,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            raise StepError(
                f"The terminal's WebSocket is refused with status {status}.", _PROXY
            ) from error
        except InvalidHandshake as error:
            raise StepError(f"The terminal's WebSocket does not open ({error}).", _PROXY) from error
        except OSError as error:
            raise connecting.translated(error, target.url) from error


def _said(error: Exception) -> str:
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        return f"code {error.rcvd.code} {error.rcvd.reason}".rstrip()
    return str(error) or type(error).__name__
