"""Loops over items: what one item does costs the others nothing."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.core import deadline, signals
from app.core.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    LeadershipLostError,
    StorageError,
)
from app.core.isolation import Isolation, Loop
from app.core.items import Items
from app.metrics import events
from app.metrics.catalogue import LOOPS, agent_failures
from tests.agent_loops import run_through
from tests.backends.programs import wait_until

LOOP = Loop.SESSIONS


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def failures() -> Iterator[list[str]]:
    """The loops in which failures were counted."""
    heard: list[str] = []

    def hear(_sender: object, *, loop: str) -> None:
        heard.append(loop)

    with signals.loop_failed.connected_to(hear):
        yield heard


def fail(error: Exception) -> Callable[[str], None]:
    def work(_item: str) -> None:
        raise error

    return work


@pytest.mark.parametrize(
    "error",
    [
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        EngineTimeoutError(),
        EngineError(),
        OverflowError("a number of a container"),
        RecursionError(),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_item_that_fails_breaks_no_other(error: Exception, failures: list[str]) -> None:
    served: list[str] = []

    def work(item: str) -> None:
        if item == "bad":
            raise error
        served.append(item)

    Items(LOOP, seconds=1).go_through(["a", "bad", "b"], work)
    assert served == ["a", "b"]
    run_through(lambda: Items(LOOP, seconds=1, at_once=3).begin(["a", "bad", "b"], work))
    assert sorted(served) == ["a", "a", "b", "b"]
    assert failures == [LOOP, LOOP]


@pytest.mark.parametrize("error", [StorageError(), EngineUnreachableError()])
def test_outage_is_no_failure_of_an_item_and_is_told(
    error: Exception, failures: list[str], clock: Clock
) -> None:
    tried: list[str] = []

    def work(item: str) -> None:
        tried.append(item)
        raise error

    items = Items(LOOP, seconds=1, clock=clock)
    with pytest.raises(type(error)):
        items.go_through(["a", "b", "c", "d", "e"], work)
    assert tried == ["a", "b", "c"], "the others would wait for the same"
    with pytest.raises(type(error)):
        items.go_through(["a", "b", "c", "d", "e"], work)
    assert tried[3:] == ["d", "e"], "it is their turn, and the first ones pause"
    assert failures == []


def test_each_has_a_deadline_with_docker_and_the_database() -> None:
    left: list[float] = []
    Isolation(LOOP, 5).attempt("a", lambda: left.append(deadline.required()))
    assert [round(seconds) for seconds in left] == [5]
    with pytest.raises(RuntimeError, match="deadline"):
        deadline.required()


def test_answer_that_is_missing_beyond_the_deadline_is_the_item_s_failure(
    failures: list[str], clock: Clock
) -> None:
    def work() -> None:
        clock.now += 5
        raise StorageError

    assert not Isolation(LOOP, 5, clock=clock).attempt("a", work)
    assert failures == [LOOP]


def test_pauses_grow_with_failures_in_a_row(clock: Clock) -> None:
    isolation = Isolation(LOOP, 5, clock=clock)
    pauses = []
    for _ in range(8):
        isolation.attempt("a", lambda: fail(EngineError())("a"))
        pauses.append(isolation.pause("a"))
        clock.now += pauses[-1]
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]
    assert isolation.attempt("a", lambda: None)
    isolation.attempt("a", lambda: fail(EngineError())("a"))
    assert isolation.pause("a") == 10


def test_one_hostile_item_is_counted_seldom(failures: list[str], clock: Clock) -> None:
    """Fewer than the alert on a loop that fails wants; and what is well is served each time."""
    items = Items(LOOP, seconds=5, clock=clock)
    served = 0

    def work(item: str) -> None:
        nonlocal served
        if item == "hostile":
            raise EngineTimeoutError
        served += 1

    for _ in range(90):  # 15 minutes
        items.go_through(["hostile", "well"], work)
        clock.now += 10
    assert served == 90
    assert len(failures) <= 7


def test_lost_leadership_is_no_failure(failures: list[str]) -> None:
    lost = threading.Event()
    with pytest.raises(LeadershipLostError):
        Items(LOOP, seconds=1).go_through(["a"], fail(LeadershipLostError()))
    items = Items(LOOP, seconds=1, on_lost=lost.set)
    run_through(lambda: items.begin(["a"], fail(LeadershipLostError())))
    assert lost.is_set() and failures == []


class Rounds:
    """Items in threads that end when they are let go."""

    def __init__(self, at_once: int, clock: Clock) -> None:
        self.items = Items(LOOP, seconds=5, at_once=at_once, clock=clock)
        self.gates: dict[str, threading.Event] = {}
        self.begun: list[str] = []
        self._at_work: set[str] = set()

    def work(self, item: str) -> None:
        self.begun.append(item)
        self._at_work.add(item)
        gate = self.gates.get(item)
        if gate is not None:
            gate.wait(30)
        self._at_work.discard(item)

    def hang(self, *items: str) -> None:
        self.gates.update({item: threading.Event() for item in items})

    def begin(self, *items: str) -> list[str]:
        """Do a round; return what was begun."""
        before = len(self.begun)
        self.items.begin(items, self.work)
        hanging = {item for item, gate in self.gates.items() if not gate.is_set()}
        wait_until(lambda: self.items.busy <= len(self._at_work & hanging), 10)
        return self.begun[before:]

    def close(self) -> None:
        for gate in self.gates.values():
            gate.set()
        assert self.items.close(30) == []


@pytest.fixture
def make_rounds(clock: Clock) -> Iterator[Callable[[int], Rounds]]:
    made: list[Rounds] = []

    def make(at_once: int) -> Rounds:
        made.append(Rounds(at_once, clock))
        return made[-1]

    yield make
    for rounds in made:
        rounds.close()


def test_nobody_works_twice_on_one_item(make_rounds: Callable[[int], Rounds]) -> None:
    rounds = make_rounds(4)
    rounds.hang("a")
    assert rounds.begin("a", "b") == ["a", "b"]
    assert rounds.begin("a", "b") == ["b"]


def test_turns_go_round_when_there_is_room_for_few(make_rounds: Callable[[int], Rounds]) -> None:
    rounds = make_rounds(1)
    found = []
    for _ in range(6):
        rounds.hang("a", "b", "c")
        (item,) = rounds.begin("a", "b", "c")
        rounds.gates[item].set()
        wait_until(lambda: rounds.items.busy == 0, 10)
        found.append(item)
    assert found == ["a", "b", "c", "a", "b", "c"]


def test_those_that_hang_leave_half_of_the_places_to_the_others(
    make_rounds: Callable[[int], Rounds], clock: Clock, failures: list[str]
) -> None:
    rounds = make_rounds(4)
    hostile = [f"hostile-{number}" for number in range(8)]
    for item in hostile:
        rounds.items.isolation.attempt(item, lambda: fail(EngineTimeoutError())(""))
    clock.now += 300
    rounds.hang(*hostile)

    assert rounds.begin(*hostile, "a", "b") == [*hostile[:2], "a", "b"]
    assert rounds.begin(*hostile, "a", "b") == ["a", "b"]


def test_what_took_long_is_no_better_than_what_fails(
    make_rounds: Callable[[int], Rounds], clock: Clock
) -> None:
    rounds = make_rounds(2)

    def slow() -> None:
        clock.now += 4

    for item in ("slow-1", "slow-2"):
        rounds.items.isolation.attempt(item, slow)
    rounds.hang("slow-1", "slow-2")
    assert rounds.begin("slow-1", "slow-2", "a") == ["slow-1", "a"]


def test_place_of_what_hangs_beyond_its_deadline_is_another_s(
    make_rounds: Callable[[int], Rounds], clock: Clock, failures: list[str]
) -> None:
    rounds = make_rounds(2)
    rounds.hang("x", "y")
    assert rounds.begin("x", "y") == ["x", "y"]
    assert rounds.begin("x", "y", "a") == []
    clock.now += 11  # twice the deadline
    assert rounds.begin("x", "y", "a") == ["a"]
    assert failures == [LOOP, LOOP]
    assert rounds.begin("x", "y", "a") == ["a"], "they are counted once"


def test_close_begins_nothing_and_tells_what_goes_on(
    make_rounds: Callable[[int], Rounds], clock: Clock
) -> None:
    rounds = make_rounds(2)
    rounds.hang("a")
    rounds.begin("a")
    assert rounds.items.close(0) == ["a"]
    assert rounds.begin("b") == []


def test_what_is_gone_is_forgotten(clock: Clock) -> None:
    items = Items(LOOP, seconds=5, clock=clock)
    items.go_through(["a"], fail(EngineError()))
    assert items.isolation.is_troubled("a")
    items.go_through(["b"], lambda item: None)
    assert not items.isolation.is_troubled("a")


@pytest.mark.parametrize("loop", Loop)
def test_failure_is_counted_under_its_loop(loop: Loop) -> None:
    events.connect()
    before = agent_failures.child(loop)._value.get()
    Items(loop, seconds=1).go_through(["a"], fail(EngineError()))
    assert agent_failures.child(loop)._value.get() == before + 1


def test_loops_are_the_values_of_the_label() -> None:
    assert tuple(Loop) == LOOPS


def test_reason_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    Items(LOOP, seconds=1).go_through(["a"], fail(EngineError("x" * 100_000)))
    (record,) = [record for record in caplog.records if record.message == "item failed"]
    assert len(record.why) == 500  # type: ignore[attr-defined]


def test_threads_end_by_themselves() -> None:
    items = Items(LOOP, seconds=1, at_once=4)
    before = threading.active_count()
    for _ in range(20):
        items.begin([f"item-{number}" for number in range(10)], lambda item: time.sleep(0.001))
    assert items.close(10) == []
    wait_until(lambda: threading.active_count() <= before, 10)
