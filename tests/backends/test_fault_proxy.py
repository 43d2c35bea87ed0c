"""The proxy that acts out network faults."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backends.fault_proxy import FaultProxy
from tests.backends.programs import free_port

pytestmark = pytest.mark.integration

ANSWER = b"0123456789"


class EchoService:
    """Answers every connection with ANSWER for each message it gets."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.connections: list[socket.socket] = []

    def answer_once(self) -> None:
        """Accept a connection and answer its first message."""
        connection, _ = self.listener.accept()
        self.connections.append(connection)
        connection.settimeout(5)
        connection.recv(100)
        connection.sendall(ANSWER)

    def close(self) -> None:
        """Close everything."""
        for connection in [self.listener, *self.connections]:
            connection.close()


@pytest.fixture(params=["tcp", "unix"])
def proxy(
    request: pytest.FixtureRequest, tmp_path: Path, fault_proxy: Callable[..., FaultProxy]
) -> FaultProxy:
    """A proxy in front of an echo service."""
    service = request.getfixturevalue("service")
    listen = str(tmp_path / "proxy.sock") if request.param == "unix" else None
    return fault_proxy(service.listener.getsockname(), listen)


@pytest.fixture
def service() -> Iterator[EchoService]:
    """A service behind the proxy."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)
    service = EchoService(listener)
    yield service
    service.close()


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    """A connection to the proxy."""
    unix = isinstance(proxy.address, str)
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as connection:
        connection.settimeout(5)
        connection.connect(proxy.address)
        yield connection


def receive_all(connection: socket.socket) -> bytes:
    """Read until the other side has finished."""
    received = b""
    while data := connection.recv(100):
        received += data
    return received


def test_forwards_at_once_and_passes_the_end_on(
    client: socket.socket, service: EchoService
) -> None:
    client.sendall(b"hello")
    started = time.monotonic()
    service.answer_once()
    service.connections[0].close()
    assert receive_all(client) == ANSWER
    assert time.monotonic() - started < 0.5


def test_latency_delays_both_directions(
    client: socket.socket, service: EchoService, proxy: FaultProxy
) -> None:
    proxy.latency = 0.2
    started = time.monotonic()
    client.sendall(b"hello")
    service.answer_once()
    assert client.recv(100) == ANSWER
    assert time.monotonic() - started >= 0.4


def test_black_hole_holds_data_back_until_it_closes(
    client: socket.socket, service: EchoService, proxy: FaultProxy
) -> None:
    client.sendall(b"hello")
    service.answer_once()
    client.recv(100)
    proxy.black_hole = True
    service.connections[0].sendall(ANSWER)
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(100)
    proxy.heal()
    client.settimeout(5)
    assert client.recv(100) == ANSWER


def test_cut_ends_the_answer_after_that_many_bytes(
    client: socket.socket, service: EchoService, proxy: FaultProxy
) -> None:
    proxy.cut_after = 4
    client.sendall(b"hello")
    service.answer_once()
    assert receive_all(client) == ANSWER[:4]


def test_reset_breaks_open_connections(
    client: socket.socket, service: EchoService, proxy: FaultProxy
) -> None:
    client.sendall(b"hello")
    service.answer_once()
    client.recv(100)
    proxy.reset()
    if client.family == socket.AF_INET:
        with pytest.raises(ConnectionResetError):
            client.recv(100)
    else:
        assert client.recv(100) == b""


def test_down_refuses_and_up_accepts_again(proxy: FaultProxy, service: EchoService) -> None:
    unix = isinstance(proxy.address, str)
    family = socket.AF_UNIX if unix else socket.AF_INET
    proxy.down()
    with (
        socket.socket(family) as refused,
        pytest.raises((ConnectionRefusedError, FileNotFoundError)),
    ):
        refused.connect(proxy.address)
    proxy.up()
    with socket.socket(family) as accepted:
        accepted.settimeout(5)
        accepted.connect(proxy.address)
        accepted.sendall(b"hello")
        service.answer_once()
        assert accepted.recv(100) == ANSWER


def test_dead_service_ends_the_connection(fault_proxy: Callable[..., FaultProxy]) -> None:
    proxy = fault_proxy(("127.0.0.1", free_port()))
    # Either may fail: the proxy accepts before it finds the service dead.
    with (
        pytest.raises(ConnectionResetError),
        socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection,
    ):
        connection.recv(1)
