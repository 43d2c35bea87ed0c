"""The stand-in for streams ends, waits and fails as the real ones do."""

import threading

import pytest

from app.core.errors import ContainerNotFoundError, EngineUnreachableError
from app.engine import ContainerEvent, ContainerSpec, LogLine
from tests.support.fakes import IMAGE, Failure, FakeEngine

SPEC = ContainerSpec("e", "n", IMAGE, {}, [], 1.0, 64)


def _line(at_ns: int) -> LogLine:
    return LogLine("stdout", at_ns, b"line", False)


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    engine.start(engine.create(SPEC))
    return engine


def test_log_is_read_from_an_instant_on(engine: FakeEngine) -> None:
    (container,) = engine.containers
    engine.log_lines[container] = [_line(1), _line(2), _line(3)]
    assert list(engine.logs("n", since_ns=2)) == [_line(2), _line(3)]


def test_followed_log_ends_with_the_container(engine: FakeEngine) -> None:
    (container,) = engine.containers
    stream = engine.logs(container, follow=True)
    engine.log_lines[container].append(_line(1))
    assert next(stream) == _line(1)
    timer = threading.Timer(0.02, engine.kill, [container])
    timer.start()
    assert list(stream) == []
    timer.join()


def test_events_wait_until_closed_from_another_thread(engine: FakeEngine) -> None:
    event = ContainerEvent("start", "c", "e", None, None, 1)
    engine.event_queue.append(event)
    stream = engine.events()
    timer = threading.Timer(0.02, stream.close)
    timer.start()
    assert list(stream) == [event]
    timer.join()


def test_established_stream_fails_on_demand(engine: FakeEngine) -> None:
    stream = engine.events()
    engine.failures["stream"] = Failure.LOST
    with pytest.raises(EngineUnreachableError):
        next(stream)
    with pytest.raises(ContainerNotFoundError):
        engine.logs("absent")
