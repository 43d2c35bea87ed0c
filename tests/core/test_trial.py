"""Something is tried out every few seconds, on behalf of checks that come at any time."""

import threading
from collections.abc import Iterator

import pytest

from app.core.trial import Trial
from tests.backends.programs import wait_until


class Attempt:
    """What is tried: fails with `error`, and waits while `held`."""

    def __init__(self) -> None:
        self.number = 0
        self.error: Exception | None = None
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self) -> None:
        self.number += 1
        assert self.go_on.wait(10)
        if self.error is not None:
            raise self.error


@pytest.fixture
def attempt() -> Attempt:
    return Attempt()


@pytest.fixture
def trial(attempt: Attempt) -> Iterator[Trial]:
    made = Trial("trial", attempt, every=60, patience=60)
    yield made
    attempt.go_on.set()
    made.close()


def test_a_result_stands_for_a_while(trial: Trial, attempt: Attempt) -> None:
    for _ in range(10):
        trial.verify(5)
    assert attempt.number == 1
    trial.every = 0.0
    trial.verify(5)
    assert attempt.number == 2


def test_so_does_a_failure(trial: Trial, attempt: Attempt) -> None:
    attempt.error = LookupError("gone")
    for _ in range(10):
        with pytest.raises(LookupError, match="gone"):
            trial.verify(5)
    assert attempt.number == 1
    attempt.error = None
    trial.every = 0.0
    trial.verify(5)


def test_the_first_attempt_has_no_credit(trial: Trial, attempt: Attempt) -> None:
    attempt.go_on.clear()
    with pytest.raises(TimeoutError):
        trial.verify(0.01)


def test_a_later_one_may_wait_as_long_as_there_is_patience(trial: Trial, attempt: Attempt) -> None:
    trial.verify(5)
    trial.every = 0.0
    attempt.go_on.clear()
    trial.verify(0.001)
    wait_until(lambda: attempt.number == 2, 10)
    for _ in range(10):
        trial.verify(0.001)
    assert attempt.number == 2
    trial.patience = 0.0
    with pytest.raises(TimeoutError, match="no end after"):
        trial.verify(0.001)
    attempt.go_on.set()
    trial.verify(5)


def test_after_a_failure_none_may_wait(trial: Trial, attempt: Attempt) -> None:
    trial.verify(5)
    trial.every = 0.0
    attempt.error = LookupError("gone")
    with pytest.raises(LookupError):
        trial.verify(5)
    attempt.go_on.clear()
    with pytest.raises(LookupError):
        trial.verify(0.01)
