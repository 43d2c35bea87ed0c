"""Streams of a real Docker Engine that hangs, breaks off, or is closed under its reader."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.core.errors import EngineTimeoutError, EngineUnreachableError
from app.engine import DockerEngine, Stream
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.backends.fault_proxy import FaultProxy
from tests.engine.following import Follower, following
from tests.engine.leaks import without_leaks

pytestmark = pytest.mark.integration

PROMPTLY = 1.0  # seconds within which closing must end an iteration, which takes milliseconds

OpenStream = Callable[[DockerEngine, str], Stream[Any]]
STREAMS: dict[str, OpenStream] = {
    "events": lambda gateway, container: gateway.events(),
    "logs": lambda gateway, container: gateway.logs(container, follow=True),
}
each_stream = pytest.mark.parametrize("open_stream", STREAMS.values(), ids=STREAMS)


@pytest.fixture
def proxy(docker_engine: RealEngine, fault_proxy: Callable[..., FaultProxy]) -> FaultProxy:
    return fault_proxy(docker_engine.socket_path)


@pytest.fixture
def far_door(proxy: FaultProxy) -> Iterator[DockerEngine]:
    """A gateway over TCP, through the proxy, that notices a hung engine within half a second."""
    gateway = DockerEngine(proxy.url, stream_silence=0.1)
    yield gateway
    gateway.close()


@each_stream
def test_close_ends_a_waiting_reader(
    gateway: DockerEngine, running: str, open_stream: OpenStream
) -> None:
    gateway.ping()
    with without_leaks(), following(open_stream(gateway, running)) as follower:
        time.sleep(0.2)  # well into waiting
        _close_promptly(follower)


@each_stream
def test_close_ends_a_reader_of_a_suspended_engine(
    gateway: DockerEngine,
    docker_engine: RealEngine,
    running: str,
    open_stream: OpenStream,
) -> None:
    with following(open_stream(gateway, running)) as follower:
        docker_engine.suspend()
        time.sleep(0.2)
        _close_promptly(follower)


@each_stream
def test_close_ends_a_reader_behind_a_black_hole(
    far_door: DockerEngine,
    proxy: FaultProxy,
    running: str,
    open_stream: OpenStream,
) -> None:
    with following(open_stream(far_door, running)) as follower:
        proxy.black_hole = True
        _close_promptly(follower)


@each_stream
def test_hung_engine_is_noticed(
    docker_engine: RealEngine, running: str, open_stream: OpenStream
) -> None:
    gateway = DockerEngine(docker_engine.host, stream_silence=0.2)
    with without_leaks():
        with following(open_stream(gateway, running)) as follower:
            docker_engine.suspend()
            with pytest.raises(EngineTimeoutError):
                follower.end()
        docker_engine.resume()
        gateway.close()


@each_stream
def test_black_hole_is_noticed(
    far_door: DockerEngine,
    proxy: FaultProxy,
    running: str,
    open_stream: OpenStream,
) -> None:
    with following(open_stream(far_door, running)) as follower:
        proxy.black_hole = True
        with pytest.raises(EngineTimeoutError):
            follower.end()


@each_stream
def test_broken_connection_is_lost(
    far_door: DockerEngine,
    proxy: FaultProxy,
    running: str,
    open_stream: OpenStream,
) -> None:
    with following(open_stream(far_door, running)) as follower:
        proxy.down()
        with pytest.raises(EngineUnreachableError):
            follower.end()


@each_stream
def test_answer_that_is_cut_off_is_lost(
    gateway: DockerEngine,
    far_door: DockerEngine,
    proxy: FaultProxy,
    running: str,
    open_stream: OpenStream,
) -> None:
    far_door.ping()
    with following(open_stream(far_door, running)) as follower:
        proxy.cut_after = 0
        gateway.exec(running, ["sh", "-c", "echo hello > /proc/1/fd/1"])
        with pytest.raises(EngineUnreachableError):
            follower.end()


@each_stream
def test_engine_that_stops_ends_the_stream(
    gateway: DockerEngine,
    docker_engine: RealEngine,
    running: str,
    open_stream: OpenStream,
) -> None:
    with following(open_stream(gateway, running)) as follower:
        docker_engine.stop()
        try:
            follower.end()
        except EngineUnreachableError:
            pass


@each_stream
def test_silence_of_a_living_engine_is_no_fault(
    far_door: DockerEngine, running: str, open_stream: OpenStream
) -> None:
    with following(open_stream(far_door, running)) as follower:
        time.sleep(1)  # ten times what it waits before it asks
        far_door.exec(running, ["sh", "-c", "echo hello > /proc/1/fd/1"])
        assert follower.wait_for(len)


@each_stream
def test_closed_twice_or_unread_is_fine(
    gateway: DockerEngine, running: str, open_stream: OpenStream
) -> None:
    gateway.ping()
    with without_leaks():
        with open_stream(gateway, running) as stream:
            stream.close()
        stream.close()
        assert list(stream) == []


def _close_promptly(follower: Follower[Any]) -> None:
    begun = time.monotonic()
    follower.stream.close()
    assert time.monotonic() - begun < PROMPTLY
    follower.end()
    assert time.monotonic() - begun < PROMPTLY
