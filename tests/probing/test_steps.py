"""A step is bounded whatever it does, and a round by all of them."""

import threading
import time
from collections.abc import Callable

import pytest

from app.probing.failure import CutOffError, StepError
from app.probing.steps import FailedError, Steps
from app.storage import ProbeStep


def never() -> bool:
    return False


def waits(ended: threading.Event) -> Callable[[], None]:
    """Return what does nothing until it is ended."""

    def wait() -> None:
        ended.wait(10)

    return wait


def test_time_of_each_step_is_known_also_of_one_that_fails() -> None:
    steps = Steps(5, 10, never)
    steps.do(ProbeStep.SIGN_IN, lambda: time.sleep(0.05), lambda: None)

    def fail() -> None:
        raise StepError("It is broken.", "Mend it.")

    with pytest.raises(FailedError) as failed:
        steps.do(ProbeStep.CREATE, fail, lambda: None)
    assert (failed.value.step, failed.value.says, failed.value.next_step) == (
        "create",
        "It is broken.",
        "Mend it.",
    )
    assert list(steps.seconds) == ["sign_in", "create"] and steps.seconds["sign_in"] >= 0.05


@pytest.mark.parametrize("step", list(ProbeStep))
def test_step_that_hangs_is_ended_and_says_what_to_look_at(step: ProbeStep) -> None:
    ended = threading.Event()
    with pytest.raises(FailedError, match=r"did not end within 0\.1 s") as failed:
        Steps(0.1, 10, never).do(step, waits(ended), ended.set)
    assert ended.is_set() and failed.value.next_step.startswith("See ")


def test_all_steps_together_have_a_deadline() -> None:
    # Time enough for the first step to begin on a busy machine.
    steps, ended = Steps(10, 0.5, never), threading.Event()
    with pytest.raises(FailedError, match="within 0"):
        steps.do(ProbeStep.SIGN_IN, waits(ended), ended.set)
    with pytest.raises(FailedError, match="was not begun") as failed:
        steps.do(ProbeStep.CREATE, lambda: None, lambda: None)
    assert "VIBEBOX_PROBE_TIMEOUT" in failed.value.next_step


def test_whoever_has_to_end_ends_the_round() -> None:
    ended = threading.Event()
    with pytest.raises(CutOffError):
        Steps(10, 10, lambda: True).do(ProbeStep.START, waits(ended), ended.set)
    assert ended.is_set()


def test_what_nobody_foresaw_is_no_answer_of_the_service() -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        Steps(10, 10, never).do(ProbeStep.START, broken, lambda: None)
