"""Waiting with a deadline: one run at a time, and no caller waits longer than told."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.core.single_flight import DeadlineExceededError, Run, SingleFlight
from tests.backends.programs import wait_until

MakeFlight = Callable[[Callable[[], int]], SingleFlight[int]]


class Work:
    """Work that lasts until it is let go, and counts how often it was started."""

    def __init__(self) -> None:
        self.runs = 0
        self.go = threading.Event()

    def __call__(self) -> int:
        self.runs += 1
        assert self.go.wait(10)
        return self.runs


@pytest.fixture
def make_flight() -> Iterator[MakeFlight]:
    made: list[SingleFlight[int]] = []

    def make(work: Callable[[], int]) -> SingleFlight[int]:
        made.append(SingleFlight("test-flight", work))
        return made[-1]

    yield make
    for flight in made:
        flight.close()
    for thread in threading.enumerate():
        if thread.name == "test-flight":
            thread.join(5)


@pytest.fixture
def hung() -> Iterator[Work]:
    work = Work()
    yield work
    work.go.set()


def test_result_is_returned(make_flight: MakeFlight) -> None:
    assert make_flight(lambda: 7).begin().result(1) == 7


def test_thread_is_made_by_the_first_call(make_flight: MakeFlight) -> None:
    before = threading.active_count()
    flight = make_flight(lambda: 1)
    assert threading.active_count() == before

    for _ in range(5):
        flight.begin().result(1)

    assert threading.active_count() == before + 1


def test_callers_join_the_run_under_way(make_flight: MakeFlight, hung: Work) -> None:
    flight = make_flight(hung)
    first, second = flight.begin(), flight.begin()
    hung.go.set()

    assert first is second
    assert (first.result(1), second.result(1), hung.runs) == (1, 1, 1)


def test_run_that_ended_is_followed_by_a_new_one(make_flight: MakeFlight, hung: Work) -> None:
    hung.go.set()
    flight = make_flight(hung)

    assert [flight.begin().result(1) for _ in range(3)] == [1, 2, 3]


def test_hung_run_is_never_started_twice(make_flight: MakeFlight, hung: Work) -> None:
    flight = make_flight(hung)

    for _ in range(100):
        with pytest.raises(DeadlineExceededError):
            flight.begin().result(0.001)

    # On a busy machine its thread comes later than all of these.
    wait_until(lambda: hung.runs > 0, 10)
    assert hung.runs == 1


def test_deadline_counts_from_the_start_of_the_run(make_flight: MakeFlight, hung: Work) -> None:
    flight = make_flight(hung)
    with pytest.raises(DeadlineExceededError, match=r"no answer in 0\.02 s"):
        flight.begin().result(0.02)

    started = time.perf_counter()
    with pytest.raises(DeadlineExceededError):
        flight.begin().result(0.02)

    assert time.perf_counter() - started < 0.015


def test_run_that_recovers_serves_again(make_flight: MakeFlight, hung: Work) -> None:
    flight = make_flight(hung)
    run = flight.begin()
    with pytest.raises(DeadlineExceededError):
        run.result(0.001)
    hung.go.set()

    assert run.result(10) == 1
    assert flight.begin().result(10) == 2


@pytest.mark.parametrize("error", [ValueError("mine"), TimeoutError("mine"), SystemExit("mine")])
def test_error_of_the_work_is_raised(make_flight: MakeFlight, error: BaseException) -> None:
    def work() -> int:
        raise error

    flight = make_flight(work)

    with pytest.raises(type(error), match="mine"):
        flight.begin().result(1)
    with pytest.raises(type(error), match="mine"):
        flight.begin().result(1)


def test_result_that_comes_at_the_last_moment_is_taken() -> None:
    run: Run[int] = Run()
    run.execute(lambda: 5)

    assert run.result(-1) == 5


def test_seconds_stand_still_once_the_run_has_ended(make_flight: MakeFlight) -> None:
    run = make_flight(lambda: 1).begin()
    run.result(1)
    seconds = run.seconds
    time.sleep(0.002)

    assert run.done
    assert run.seconds == seconds


def test_seconds_of_a_run_under_way_grow(make_flight: MakeFlight, hung: Work) -> None:
    run = make_flight(hung).begin()
    seconds = run.seconds
    time.sleep(0.002)

    assert not run.done
    assert run.seconds > seconds


def test_close_ends_the_thread(make_flight: MakeFlight) -> None:
    flight = make_flight(lambda: 1)
    flight.begin().result(1)
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "test-flight")

    flight.close()
    thread.join(5)

    assert not thread.is_alive()


def test_thread_that_cannot_be_had_is_told_and_tried_again(
    make_flight: MakeFlight, monkeypatch: pytest.MonkeyPatch
) -> None:
    flight = make_flight(lambda: 1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse_thread)
        for _ in range(2):
            with pytest.raises(RuntimeError):
                flight.begin()

    assert flight.begin().result(1) == 1


def refuse_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
