"""WebSockets of the service, as a browser would open them: with a ticket each."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.backends.programs import wait_until
from tests.end_to_end.api import Api

PATIENCE = 20.0
WINDOW = 256 * 1024
"""Bytes that a terminal takes in before its command does."""


@contextmanager
def opened(
    api: Api, path: str, traceparent: str = "", **options: Any
) -> Iterator[ClientConnection]:
    """Open a WebSocket for the block; as a part of a trace where one is given."""
    ticket = api.call("POST", "/ws-tickets").json()["ticket"]
    protocols: Any = ["vibebox.v1", f"vibebox.ticket.{ticket}"]
    if traceparent:
        protocols.append(f"vibebox.traceparent.{traceparent}")
    url = f"{api.url.replace('http', 'ws', 1)}{path}"
    with connect(
        url, subprotocols=protocols, proxy=None, open_timeout=PATIENCE, **options
    ) as socket:
        assert socket.subprotocol == "vibebox.v1"
        yield socket


def fill(api: Api, path: str, number: int, stack: ExitStack) -> list[ClientConnection]:
    """Open so many, as many as all workers take; the kernel decides who gets which."""
    found: list[ClientConnection] = []
    ends_at = time.monotonic() + PATIENCE
    while len(found) < number and time.monotonic() < ends_at:
        try:
            found.append(stack.enter_context(opened(api, path)))
        except InvalidStatus as error:
            assert error.response.status_code in (429, 503), error
    assert len(found) == number
    return found


def refused(api: Api, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
    """Open a WebSocket in vain, and return the status and the problem."""
    try:
        with opened(api, path, **options):
            raise AssertionError("it was opened")
    except InvalidStatus as error:
        problem: dict[str, Any] = json.loads(bytes(error.response.body or b"null"))
        return error.response.status_code, problem


def said(socket: ClientConnection) -> tuple[int, str]:
    """Read to the end, and return the code and reason that the server gave."""
    try:
        while True:
            socket.recv(timeout=PATIENCE)
    except ConnectionClosed as error:
        assert error.rcvd is not None
        return error.rcvd.code, error.rcvd.reason


class Paster:
    """Puts bytes into a terminal as the console does: pieces, and no more ahead than it may be.

    The terminal has to be opened with `acknowledge=true`.
    """

    PIECE = 32 * 1024

    def __init__(self, socket: ClientConnection) -> None:
        self.taken = 0
        self._sent = 0
        self._socket = socket

    def paste(self, data: bytes) -> None:
        """Put all of it in, and wait until all but what is never told of is taken."""
        for start in range(0, len(data), self.PIECE):
            piece = data[start : start + self.PIECE]
            while self._sent + len(piece) - self.taken > WINDOW:
                self._hear()
            self.send(piece)
        while self._sent - self.taken >= self.PIECE:
            self._hear()

    def send(self, piece: bytes) -> None:
        """Put in one piece, as a client does that knows of no bounds."""
        self._socket.send(piece)
        self._sent += len(piece)

    def _hear(self) -> None:
        message = self._socket.recv(timeout=PATIENCE)
        if isinstance(message, str):
            self.taken += json.loads(message)["bytes"]


class Screen:
    """What a terminal shows: bytes, in the order in which they came."""

    def __init__(self, socket: ClientConnection) -> None:
        self.text = ""
        self.messages = 0
        self._socket = socket

    def type(self, text: str) -> None:
        self._socket.send(text.encode())

    def resize(self, cols: int, rows: int) -> None:
        self._socket.send(json.dumps({"type": "resize", "cols": cols, "rows": rows}))

    def wait(self, text: str) -> None:
        """Read until the text is on the screen."""

        def seen() -> bool:
            try:
                message = self._socket.recv(timeout=1)
            except TimeoutError:
                return text in self.text
            assert isinstance(message, bytes)
            self.messages += 1
            self.text += message.decode(errors="replace")
            return text in self.text

        if text not in self.text:
            wait_until(seen, PATIENCE, otherwise=lambda: f"{text!r} is not in {self.text!r}")
