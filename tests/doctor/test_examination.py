"""Checks go on at once; none stops another, and one fault is told once."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from app.core.errors import EngineFullError, StorageFullError
from app.doctor.build import NAMES
from app.doctor.examination import LONGEST, Doctor, only_settings
from app.doctor.findings import (
    Check,
    Finding,
    Outcome,
    ago,
    failed,
    not_configured,
    ok,
    parted,
    warning,
    worst,
)
from app.doctor.looks import reason
from tests.backends.programs import wait_until

WELL = ok("It is well.")


@contextmanager
def doctor(*checks: Check) -> Iterator[Doctor]:
    made = Doctor(checks)
    try:
        yield made
    finally:
        made.close()


def raising(error: Exception) -> Callable[[], Finding]:
    def look() -> Finding:
        raise error

    return look


def test_one_that_hangs_or_raises_stops_no_other() -> None:
    over, begun = threading.Event(), []

    def hang() -> Finding:
        begun.append(1)
        over.wait(10)
        return WELL

    with doctor(
        Check("hangs", hang, seconds=0.05, next_step="Shake it."),
        Check("raises", raising(ValueError("what password=secret?"))),
        Check("is full", raising(EngineFullError())),
        Check("well", lambda: WELL),
    ) as examining:
        started = time.monotonic()
        found = [examining.examine() for _ in range(3)]
        seconds = time.monotonic() - started
        over.set()

    assert len(begun) == 1  # whoever asks again waits for the one that hangs
    assert seconds < 5
    for answer in found:
        hangs, raises, full, well = answer.checks
        assert (hangs.outcome, hangs.says, hangs.next_step) == (
            Outcome.FAILED,
            "No answer within 0.05 s.",
            "Shake it.",
        )
        assert raises.outcome is Outcome.FAILED and "ValueError" in raises.says
        assert "secret?" not in raises.says and raises.next_step
        assert "disk of Docker Engine is full" in full.says
        assert well.outcome is Outcome.OK and well.next_step is None
        assert answer.outcome is Outcome.FAILED


def test_what_others_answer_is_cut_and_what_hangs_has_words_of_its_own() -> None:
    over = threading.Event()

    def hang() -> Finding:
        over.wait(10)
        return WELL

    late = failed("Its name is not found in time.", "Look it up.")
    long = "x" * (LONGEST - 20) + " ://ada:hidden-one@host " + "y" * 1_000_000

    with doctor(
        Check("hangs", hang, seconds=0.05, late=late),
        Check("long", lambda: warning(long, "Look.")),
    ) as examining:
        hangs, told = examining.examine().checks
        over.set()
    assert (hangs.outcome, hangs.says, hangs.next_step) == ("failed", late.says, "Look it up.")
    assert len(told.says) < LONGEST + 5 and "hidden" not in told.says


def test_threads_end_with_the_examination() -> None:
    over = threading.Event()

    def hang() -> Finding:
        over.wait(10)
        return WELL

    def names() -> set[str]:
        return {one.name for one in threading.enumerate() if one.name.startswith("doctor-")}

    with doctor(Check("well", lambda: WELL), Check("hangs", hang, seconds=0.05)) as examining:
        examining.examine()
        wait_until(lambda: names() == {"doctor-hangs"}, 5)
        over.set()
        wait_until(lambda: examining.examine().outcome is Outcome.OK, 5)
        wait_until(lambda: names() == set(), 5)


def test_many_at_once_are_all_answered() -> None:
    found: list[Outcome] = []

    def ask(examining: Doctor) -> None:
        found.extend(examining.examine().outcome for _ in range(50))

    with doctor(*(Check(str(number), lambda: WELL) for number in range(5))) as examining:
        threads = [threading.Thread(target=ask, args=(examining,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [Outcome.OK] * 400


def test_without_a_thread_the_check_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with doctor(Check("one", lambda: WELL)) as examining:
        monkeypatch.setattr(threading.Thread, "start", none_left)
        (check,) = examining.examine().checks
    assert check.outcome is Outcome.FAILED and "thread" in check.says


def test_what_needs_what_has_failed_is_skipped() -> None:
    with doctor(
        Check("below", lambda: failed("It is gone.", "Bring it back.")),
        Check("beside", lambda: warning("It may be gone.", "Look.")),
        Check("above", raising(OSError("suffers")), ("below",)),
        Check("off", lambda: not_configured("Nothing asks for it."), ("below",)),
        Check("other", lambda: WELL, ("beside",)),
        Check("after", lambda: failed("It failed too.", "Mend it."), follows=("below",)),
        Check("later", lambda: failed("It failed.", "Mend it."), follows=("beside",)),
    ) as examining:
        found = {one.name: (one.outcome, one.says) for one in examining.examine().checks}

    assert found["above"] == (Outcome.SKIPPED, "Not looked at, because of below.")
    assert found["off"][0] is Outcome.NOT_CONFIGURED
    assert found["other"][0] is Outcome.OK
    assert found["after"] == (Outcome.SKIPPED, "Not judged, because of below. It failed too.")
    assert found["later"] == (Outcome.FAILED, "It failed.")


def test_settings_that_cannot_be_used_are_all_there_is_to_say() -> None:
    found = only_settings(["PORT: must be a number", "VIBEBOX_X: there is no such setting"], NAMES)

    assert [one.name for one in found.checks] == list(NAMES)
    assert found.outcome is Outcome.FAILED
    assert {one.outcome for one in found.checks[1:]} == {Outcome.SKIPPED}
    assert "PORT: must be a number; VIBEBOX_X" in found.checks[0].says


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], Outcome.OK),
        ([Outcome.OK, Outcome.NOT_CONFIGURED, Outcome.SKIPPED], Outcome.OK),
        ([Outcome.OK, Outcome.WARNING], Outcome.WARNING),
        ([Outcome.FAILED, Outcome.WARNING], Outcome.FAILED),
    ],
)
def test_worst(outcomes: list[Outcome], expected: Outcome) -> None:
    assert worst(outcomes) is expected


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("It is full. Make room on it.", ("It is full.", "Make room on it.")),
        ("At 0001, needs 0002; run `x`.", ("At 0001, needs 0002.", "Run `x`.")),
        ("It is shut (why: so): open it", ("It is shut (why: so).", "Open it.")),
        ("It is shut: open it.", ("It is shut.", "Open it.")),
        ("It is shut.", ("It is shut.", "Look.")),
    ],
)
def test_sentence_is_parted_into_what_is_wrong_and_the_next_step(
    sentence: str, expected: tuple[str, str]
) -> None:
    assert parted(sentence, "Look.") == expected


def test_time_is_said_as_a_person_says_it() -> None:
    assert [ago(s) for s in (-1, 12.4, 90, 7200, 200_000)] == [
        "0 s", "12 s", "2 min", "2 h", "2 d"
    ]  # fmt: skip


def test_reason_is_the_operators() -> None:
    assert reason(StorageFullError(for_operator="Make room.")) == "StorageFullError: Make room."
    error = ValueError("outer")
    error.__cause__ = OSError("inner")
    assert reason(error) == "ValueError: outer (inner)"
