"""Clients without manners, in a process of their own: what they do must not slow the test.

Run as a program it reads one line of JSON from its standard input, {"port", "crowds", "token"}, and
goes on until that is closed; then it tells in one line how often each kind has connected. `crowds`
says how many there are of each kind:

    silent       connect, and say nothing
    half_heads   send half a head, of a probe too, and drip on with it
    half_bodies  send half a body, of any kind
    unread       ask for large answers, one after another, and read none
    kept         ask once, and stay
    garbage      send what is no request

Whoever is hung up on comes again.
"""

import itertools
import json
import random
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

from tests.backends.web import ROOT

HALF_HEADS = (
    b"GET /api/v1/environments HTTP/1.1\r\nHost: 127.0.0.1\r\nX-",
    b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    b"GET /health/metrics HTTP/1.1\r\nHost:",
    b"POST",
)
HALF_BODIES = (
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 1000\r\n\r\n{"email": ',
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5\r\n{    \r\n3",
    b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\nhalf",
    b"PUT /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50000000\r\n\r\nhalf",
)
GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 50,
    b"GET /\r\n\r\n",
    b"GET / HTTP/3.0\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /" + b"a" * 5000,
)
ONCE = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_DRIP_SECONDS = 0.25
_WORD_SECONDS = 1.0
_FOR_EVER = 1e9
_AGAIN_SECONDS = 0.5


class Attack:
    """The attackers as a test sees them: begin, look, end."""

    def __init__(self, port: int, crowds: Mapping[str, int], large: str) -> None:
        """`large` is the path of a large answer."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.without_manners"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdin is not None
        order = {"port": port, "crowds": dict(crowds), "large": large}
        print(json.dumps(order), file=self._process.stdin, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self) -> dict[str, int]:
        """Hang up all, and return how often each kind had connected."""
        told, _ = self._process.communicate(timeout=30)
        found: dict[str, int] = json.loads(told)
        return found


class _Attacker:
    """One of them, again and again."""

    def __init__(self, crowd: "_Crowd", kind: str, number: int) -> None:
        self._crowd = crowd
        self._kind = kind
        self._said = crowd.words(kind, number)
        self._peer: socket.socket | None = None
        self.due = time.monotonic() + random.random()

    def act(self) -> None:
        """Connect, or drip; called when it is due."""
        if self._peer is None:
            self._connect()
        else:
            # Whoever does not read notices the end by the next word.
            self._say(b"x" if self._kind == "half_heads" else ONCE)
            self._wait()

    def hear(self) -> None:
        """Look at what came; come again where it is the end."""
        if self._peer is None:
            return
        try:
            if self._peer.recv(65536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._leave()

    def _connect(self) -> None:
        self._peer = socket.socket()
        if self._kind == "unread":
            self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        try:
            self._peer.settimeout(1)
            self._peer.connect(("127.0.0.1", self._crowd.port))
            self._peer.setblocking(False)
        except OSError:
            self._leave()
            return
        self._crowd.connected[self._kind] += 1
        if self._kind != "unread":
            self._crowd.selector.register(self._peer, selectors.EVENT_READ, self)
        self._wait()
        self._say(self._said)

    def _wait(self) -> None:
        pause = {"half_heads": _DRIP_SECONDS, "unread": _WORD_SECONDS}.get(self._kind, _FOR_EVER)
        self.due = time.monotonic() + pause

    def _say(self, words: bytes) -> None:
        try:
            if words and self._peer is not None:
                self._peer.send(words)
        except BlockingIOError:
            return
        except OSError:
            self._leave()

    def _leave(self) -> None:
        if self._peer is not None:
            if self._kind != "unread" and self._peer in self._crowd.selector.get_map():
                self._crowd.selector.unregister(self._peer)
            self._peer.close()
        self._peer = None
        self.due = time.monotonic() + _AGAIN_SECONDS * (1 + random.random())


class _Crowd:
    """All attackers of this process."""

    def __init__(self, port: int, crowds: Mapping[str, int], large: str) -> None:
        self.port = port
        self.selector = selectors.DefaultSelector()
        self.connected: Counter[str] = Counter()
        self._large = large
        self._all = [
            _Attacker(self, kind, number)
            for kind, times in crowds.items()
            for number in range(times)
        ]

    def words(self, kind: str, number: int) -> bytes:
        """Return what an attacker says first."""
        if kind == "unread":
            one = f"GET {self._large} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
            return one * 8
        said: dict[str, tuple[bytes, ...]] = {
            "silent": (b"",),
            "half_heads": HALF_HEADS,
            "half_bodies": HALF_BODIES,
            "kept": (ONCE,),
            "garbage": GARBAGE,
        }
        return next(itertools.islice(itertools.cycle(said[kind]), number, None))

    def run(self) -> None:
        """Go on until standard input is closed."""
        self.selector.register(sys.stdin, selectors.EVENT_READ, None)
        while True:
            for key, _ in self.selector.select(0.05):
                if key.data is None:
                    return
                key.data.hear()
            now = time.monotonic()
            for one in self._all:
                if one.due <= now:
                    one.act()


def main() -> None:
    """Read who is wanted, be that, and tell."""
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    crowd = _Crowd(order["port"], order["crowds"], order["large"])
    crowd.run()
    print(json.dumps(crowd.connected))


if __name__ == "__main__":
    main()
