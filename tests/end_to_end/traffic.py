"""Known traffic: requests of chosen kinds, each with the labels under which it must be counted."""

import http.client
import random
import socket
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

ASSET = "/openapi/swagger/js/swagger-ui-bundle.js"
ASSET_ROUTE = "/openapi/swagger/<path:filename>"
UNMATCHED = "unmatched"
ANY = 0
"""A status that is not known beforehand."""


@dataclass(frozen=True, eq=False)
class Kind:
    """A request, and the route and status that it is counted under."""

    name: str
    method: str
    path: str
    route: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    aborted: bool = False
    label: str | None = None

    @property
    def labels(self) -> tuple[str, str, str]:
        """The method, route and status_code labels."""
        return self.label or self.method, self.route, str(self.status)


def send_all(port: int, plan: Mapping[Kind, int], threads: int = 8) -> None:
    """Send each kind as often as planned, shuffled, over kept-alive connections."""
    requests = [kind for kind, times in plan.items() for _ in range(times)]
    random.shuffle(requests)
    with ThreadPoolExecutor(threads) as pool:
        shares = [requests[start::threads] for start in range(threads)]
        for done in [pool.submit(_send_share, port, share) for share in shares]:
            done.result()


def counted(plan: Mapping[Kind, int]) -> Counter[tuple[str, str, str]]:
    """Return how often each (method, route, status_code) is to be counted."""
    expected: Counter[tuple[str, str, str]] = Counter()
    for kind, times in plan.items():
        expected[kind.labels] += times
    return expected


def _send_share(port: int, share: Sequence[Kind]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        for kind in share:
            if kind.aborted:
                _abort(port, kind)
            else:
                _send(connection, kind)
    finally:
        connection.close()


def _send(connection: http.client.HTTPConnection, kind: Kind) -> None:
    connection.request(kind.method, kind.path, body=kind.body, headers=dict(kind.headers))
    response = connection.getresponse()
    response.read()
    assert kind.status in (response.status, ANY), (kind.name, response.status)


def _abort(port: int, kind: Kind) -> None:
    """Send the request, read the first bytes of its answer, and reset the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
        peer.sendall(f"{kind.method} {kind.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert peer.recv(64).startswith(f"HTTP/1.1 {kind.status}".encode())
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
