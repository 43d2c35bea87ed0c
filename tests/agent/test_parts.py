"""The small parts of the agent: what is queued, what differs, what was heard, what lasts."""

import logging
import threading
import time

import pytest

from app.agent import tasks
from app.agent.leader.election import Term
from app.agent.leader.lease import Held
from app.agent.outage_log import OutageLog
from app.agent.reconcile.event_history import ContainerEventHistory, Ending
from app.agent.reconcile.queue import WorkQueue
from app.core.errors import EngineTimeoutError, EngineUnreachableError
from app.core.isolation import Loop
from app.domain.environments.exits import Run
from app.engine import ContainerEvent

FIRST = Run("c", "2026-01-01T00:00:00.123456789Z")
SECOND = "2026-01-01T00:00:10Z"
STARTED_NS = 1767225600_123456789


def test_what_is_dirty_is_taken_once_and_by_one_at_a_time() -> None:
    queue = WorkQueue()
    queue.add("a")
    queue.add("a")
    assert queue.get() == "a"

    queue.add("a")  # while it is held: not before it is done
    queue.add("b")
    assert queue.get() == "b"
    queue.done("a")
    assert queue.get() == "a"
    queue.close()
    assert queue.get() is None


def test_delayed_is_taken_later_unless_it_is_wanted_earlier() -> None:
    queue = WorkQueue()
    queue.add("later", 30)
    queue.add("soon", 0.05)
    started = time.monotonic()
    assert queue.get() == "soon"
    assert time.monotonic() - started >= 0.05

    queue.add("later")
    queue.add("later", 30)
    assert queue.get() == "later"


@pytest.mark.parametrize("moment", ["before", "meanwhile", "between"])
def test_what_is_wanted_is_done_after_it(moment: str) -> None:
    """Whenever it is wanted: what the work at hand has read may be older."""
    wanted, over, done = threading.Event(), threading.Event(), threading.Semaphore(0)
    if moment == "before":
        wanted.set()

    def work() -> None:
        if moment == "meanwhile" and not over.is_set():
            over.set()
            wanted.set()
        done.release()

    term = Term(Held("agent", 1), time.monotonic())
    thread = tasks.start(tasks.Task(Loop.SWEEP, 3600, work, wanted), term)
    assert done.acquire(timeout=5)
    if moment == "between":
        wanted.set()
    assert done.acquire(timeout=5)
    assert not done.acquire(timeout=0.1)
    term.over.set()
    wanted.set()
    thread.join(5)
    assert not thread.is_alive()


def test_close_wakes_who_waits() -> None:
    queue = WorkQueue()
    taken: list[str | None] = []
    thread = threading.Thread(target=lambda: taken.append(queue.get()))
    thread.start()
    queue.close()
    thread.join(5)
    assert taken == [None]


def event(action: str, seconds: int, code: int | None = None) -> ContainerEvent:
    return ContainerEvent(action, "c", "e", None, code, STARTED_NS + seconds * 10**9)


def test_facts_belong_to_the_run_in_which_they_happened() -> None:
    event_history = ContainerEventHistory()
    for heard in (
        event("die", -5, 9),
        event("oom", 2),
        event("die", 3, 137),
        event("die", 3, 137),  # again, after a reconnection
        event("kill", 11),
        event("die", 12, 143),
    ):
        event_history.record(heard)

    assert event_history.lookup(FIRST, SECOND) == Ending(True, 137, oom=True)
    assert event_history.lookup(Run("c", SECOND)) == Ending(True, 143)
    assert event_history.lookup(Run("another", SECOND)) == Ending()


@pytest.mark.parametrize(
    ("events", "oom"),
    [
        ([("oom", 60), ("die", 61)], True),
        ([("oom", 60), ("die", 60)], True),
        ([("die", 60), ("oom", 61)], True),
        ([("oom", 2), ("die", 60)], False),
        ([("oom", 59), ("kill", 60), ("die", 60)], False),
        ([("kill", 59), ("oom", 60), ("die", 60)], True),
        ([("die", 60)], False),
        ([("oom", 60)], False),
    ],
    ids=str,
)
def test_memory_ends_a_run_only_where_it_ran_out_right_before(
    events: list[tuple[str, int]], oom: bool
) -> None:
    event_history = ContainerEventHistory()
    for action, second in events:
        event_history.record(event(action, second, 137 if action == "die" else None))
    assert event_history.lookup(FIRST).oom is oom


def test_sudden_end_without_a_reason_is_fresh_for_a_moment() -> None:
    now = 100.0
    event_history = ContainerEventHistory(lambda: now)
    event_history.record(event("die", 5, 137))
    assert event_history.lookup(FIRST).fresh
    now += 1.5
    assert not event_history.lookup(FIRST).fresh
    for code, action in ((1, None), (137, "kill"), (137, "oom")):
        event_history = ContainerEventHistory(lambda: now)
        if action is not None:
            event_history.record(event(action, 5))
        event_history.record(event("die", 5, code))
        assert not event_history.lookup(FIRST).fresh


def test_what_lasts_is_logged_when_it_begins_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    outages = OutageLog(Loop.SWEEP, logging.getLogger("test"))
    for error in (
        EngineUnreachableError(),
        EngineUnreachableError(),
        EngineTimeoutError(),
        None,
        None,
    ):
        with outages.attempt():
            if error is not None:
                raise error
    events = [record.message for record in caplog.records if record.name == "test"]
    assert events == ["work waits", "work waits", "work goes on"]


def test_bug_is_logged_each_time(caplog: pytest.LogCaptureFixture) -> None:
    outages = OutageLog(Loop.SWEEP, logging.getLogger("test"))
    for _ in range(2):
        with outages.attempt():
            raise RuntimeError("bug")
    assert [record.message for record in caplog.records] == ["work failed"] * 2
