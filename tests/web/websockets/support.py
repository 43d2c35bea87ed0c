"""The client's end of a pair of sockets, with a clock that a test moves."""

import socket
import time
from collections.abc import Callable

from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, Protocol


class Clock:
    """A clock that runs, and jumps when told to."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def jump(self, seconds: float) -> None:
        self._ahead += seconds


class Peer:
    """A client that reads only when it is told to."""

    def __init__(self, connection: socket.socket) -> None:
        self.protocol = Protocol(CLIENT)
        self.frames: list[Frame] = []
        self._connection = connection
        connection.settimeout(5)

    def text(self, message: str, fin: bool = True) -> None:
        self.protocol.send_text(message.encode(), fin)
        self.flush()

    def more(self, part: bytes, fin: bool) -> None:
        """Continue a message that was begun."""
        self.protocol.send_continuation(part, fin)
        self.flush()

    def binary(self, message: bytes, fin: bool = True) -> None:
        self.protocol.send_binary(message, fin)
        self.flush()

    def raw(self, data: bytes) -> None:
        """Send bytes that no client of the library would."""
        self._connection.sendall(data)

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self._connection.sendall(data)

    def read(self, until: Callable[[], bool]) -> None:
        """Read and answer until the condition holds, or the server ends the connection."""
        while not until():
            data = self._connection.recv(65536)
            if not data:
                self.protocol.receive_eof()
                return
            self.protocol.receive_data(data)
            self.frames += [
                event for event in self.protocol.events_received() if isinstance(event, Frame)
            ]
            self.flush()

    def messages(self) -> list[bytes]:
        """Return the messages that have come, which no test fragments."""
        data = (Opcode.TEXT, Opcode.BINARY)
        return [bytes(frame.data) for frame in self.frames if frame.opcode in data]

    @property
    def close(self) -> tuple[int, str] | None:
        """The code and reason with which the server closed."""
        said = self.protocol.close_rcvd
        return None if said is None else (said.code, said.reason)
