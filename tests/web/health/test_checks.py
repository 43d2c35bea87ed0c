"""Readiness checks: side by side, each with its deadline, told once for each change."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core import signals
from app.engine import DockerEngine
from app.web.health.checks import Check, Checks

MakeChecks = Callable[..., Checks]
DEADLINE = 0.05


class Dependency:
    """Something to look at; `error` is why it is not well, `gate` what a look waits for."""

    def __init__(self) -> None:
        self.looks = 0
        self.error: Exception | None = None
        self.gate: threading.Event | None = None

    def __call__(self) -> None:
        self.looks += 1
        if self.gate is not None:
            assert self.gate.wait(10)
        if self.error is not None:
            raise self.error


@pytest.fixture
def dependency() -> Iterator[Dependency]:
    dependency = Dependency()
    yield dependency
    if dependency.gate is not None:
        dependency.gate.set()


@pytest.fixture
def ready() -> list[bool]:
    """Grows with each run in which all required checks passed."""
    return []


@pytest.fixture
def make_checks(ready: list[bool]) -> Iterator[MakeChecks]:
    made: list[Checks] = []
    before = set(threading.enumerate())

    def make(interval: float = 60, required: bool = True, **looks: Callable[[], None]) -> Checks:
        checks = [
            Check(name, look, required=required, deadline=DEADLINE) for name, look in looks.items()
        ]
        made.append(Checks(checks, interval=interval, on_ready=lambda: ready.append(True)))
        return made[-1]

    yield make
    for checks in made:
        checks.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)


def up(checks: Checks) -> dict[str, bool]:
    return {check.name: result.up for check, result in checks.run().items()}


def test_check_that_passes_is_up(
    make_checks: MakeChecks, dependency: Dependency, ready: list[bool]
) -> None:
    assert up(make_checks(database=dependency)) == {"database": True}
    assert ready == [True]


def test_check_that_raises_is_down(
    make_checks: MakeChecks, dependency: Dependency, ready: list[bool]
) -> None:
    dependency.error = OSError("gone")

    assert up(make_checks(database=dependency)) == {"database": False}
    assert ready == []


def test_one_that_is_not_required_does_not_hold_up(
    make_checks: MakeChecks, dependency: Dependency, ready: list[bool]
) -> None:
    dependency.error = OSError("gone")

    assert up(make_checks(required=False, docker=dependency)) == {"docker": False}
    assert ready == [True]


def test_checks_run_side_by_side(make_checks: MakeChecks) -> None:
    meeting = threading.Barrier(2)

    def meet() -> None:
        meeting.wait(0.04)

    assert up(make_checks(one=meet, two=meet)) == {"one": True, "two": True}


def test_hung_check_is_started_once_and_waited_for_once(
    make_checks: MakeChecks, dependency: Dependency
) -> None:
    dependency.gate = threading.Event()
    checks = make_checks(database=dependency)
    assert up(checks) == {"database": False}
    started = time.perf_counter()

    for _ in range(100):
        assert up(checks) == {"database": False}

    assert time.perf_counter() - started < 1
    assert dependency.looks == 1


def test_hung_check_takes_no_longer_than_its_deadline(
    make_checks: MakeChecks, dependency: Dependency
) -> None:
    dependency.gate = threading.Event()
    checks = make_checks(database=dependency)
    checks.run()
    time.sleep(DEADLINE)

    (result,) = checks.run().values()

    assert result.latency_ms == DEADLINE * 1000


def test_each_result_is_told_by_a_signal(make_checks: MakeChecks, dependency: Dependency) -> None:
    told: list[dict[str, Any]] = []

    def receiver(_sender: Any, **arguments: Any) -> None:
        told.append(arguments)

    with signals.health_checked.connected_to(receiver):
        checks = make_checks(database=dependency)
        checks.run()
        dependency.error = OSError("gone")
        checks.run()

    assert [(one["check"], one["required"], one["up"]) for one in told] == [
        ("database", True, True),
        ("database", True, False),
    ]
    assert all(0 < one["seconds"] <= DEADLINE for one in told)


def test_reason_is_logged_once_for_each_change(
    make_checks: MakeChecks, dependency: Dependency, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    checks = make_checks(database=dependency)
    for error in (None, OSError("one"), OSError("one"), OSError("two"), None, None):
        dependency.error = error
        checks.run()

    assert [(line.message, vars(line).get("why")) for line in caplog.records] == [
        ("health check failed", "OSError: one"),
        ("health check failed", "OSError: two"),
        ("health check passes again", None),
    ]


def test_cause_stands_with_the_reason(
    make_checks: MakeChecks, caplog: pytest.LogCaptureFixture
) -> None:
    def look() -> None:
        raise OSError("ours") from ValueError("the driver's")

    make_checks(database=look).run()

    assert vars(caplog.records[0])["why"] == "OSError: ours (the driver's)"


@pytest.mark.parametrize("host", ["unix://{}/nobody.sock", "tcp://127.0.0.1:1"])
def test_absent_engine_is_logged_once(
    make_checks: MakeChecks, tmp_path: Path, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    engine = DockerEngine(host.format(tmp_path))
    checks = make_checks(docker=lambda: engine.ping(timeout=1))
    for _ in range(3):
        checks.run()
    engine.close()

    assert len(caplog.records) == 1, [vars(record).get("why") for record in caplog.records]


def test_checks_run_of_their_own_accord(make_checks: MakeChecks, dependency: Dependency) -> None:
    checks = make_checks(interval=0.001, database=dependency)
    checks.start()
    until = time.monotonic() + 5
    while dependency.looks < 3 and time.monotonic() < until:
        time.sleep(0.001)

    assert dependency.looks >= 3


def test_refreshing_survives_a_failure(
    make_checks: MakeChecks, dependency: Dependency, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = make_checks(interval=0.001, database=dependency)
    runs = []

    def run() -> None:
        runs.append(1)
        raise RuntimeError("broken")

    monkeypatch.setattr(checks, "run", run)
    checks.start()
    until = time.monotonic() + 5
    while len(runs) < 3 and time.monotonic() < until:
        time.sleep(0.001)

    assert len(runs) >= 3
