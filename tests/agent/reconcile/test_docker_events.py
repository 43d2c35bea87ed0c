"""Following Docker's events: none of them is in the way of the others."""

import threading
import time
from collections.abc import Iterator

import pytest

from app.agent.leader.election import Term
from app.agent.leader.lease import Held
from app.agent.reconcile.docker_events import EventFollower
from app.agent.reconcile.event_history import ContainerEventHistory
from app.agent.reconcile.queue import WorkQueue
from app.core import signals
from app.core.isolation import Loop
from app.engine import UNKNOWN, ContainerEvent
from tests.backends.programs import wait_until
from tests.support.fakes import FakeEngine


class Following:
    """A follower of a Docker in memory, and what it brought about."""

    def __init__(self, engine: FakeEngine) -> None:
        self.gaps = 0
        self.started: list[str] = []
        self.queue = WorkQueue()
        self.term = Term(Held("x", 1), time.monotonic() + 60)
        self.follower = EventFollower(
            engine,
            ContainerEventHistory(),
            self.queue,
            self.term,
            instance=lambda: "here",
            on_gap=self._note_gap,
            on_start=self._note_start,
        )
        self.thread = self.follower.start()

    def _note_gap(self) -> None:
        self.gaps += 1

    def _note_start(self, environment_id: str, container_id: str) -> None:
        if container_id == "bad":
            raise OverflowError
        self.started.append(environment_id)

    def close(self) -> None:
        self.term.end()
        self.follower.close()
        self.thread.join(10)


@pytest.fixture
def following(engine: FakeEngine) -> Iterator[Following]:
    following = Following(engine)
    yield following
    following.close()


@pytest.fixture
def failures() -> Iterator[list[str]]:
    heard: list[str] = []

    def hear(_sender: object, *, loop: str) -> None:
        heard.append(loop)

    with signals.loop_failed.connected_to(hear):
        yield heard


def event(action: str, container: str, environment: str | None = "e") -> ContainerEvent:
    return ContainerEvent(action, container, environment, "here", None, 1)


def test_events_that_cannot_be_read_have_all_looked_at_now_and_then(
    following: Following, engine: FakeEngine, failures: list[str]
) -> None:
    wait_until(lambda: following.gaps == 1, 10)  # connected
    engine.event_queue += [event(UNKNOWN, "", None)] * 50
    engine.event_queue.append(event("start", "good"))

    wait_until(lambda: following.started == ["e"], 10)
    assert following.gaps == 2
    assert failures == [Loop.EVENTS]


def test_event_that_fails_does_not_end_the_stream(
    following: Following, engine: FakeEngine, failures: list[str]
) -> None:
    engine.event_queue += [event("start", "bad"), event("start", "good")]
    wait_until(lambda: following.started == ["e"], 10)
    assert failures == [Loop.EVENTS]
    assert threading.active_count() > 1 and engine.calls.count("events") == 1
