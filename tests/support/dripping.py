"""A receiver that answers a byte at a time, without end."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HEAD = b"HTTP/1.1 200 OK\r\nX-Long: "
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
LAST_BODY = b"HTTP/1.0 200 OK\r\n\r\n"
"""After this one the connection ends, and so is the response's alone."""


@contextmanager
def dripping(beginning: bytes) -> Iterator[str]:
    """Listen at the address that is returned, and drip behind this beginning."""
    ended = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(100_000)
            connection.sendall(beginning)
            while not ended.wait(0.02):
                connection.sendall(b"a")

    def listen() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=listen, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def threads(name: str) -> int:
    """Return how many threads of this name there are."""
    return sum(thread.name == name for thread in threading.enumerate())
