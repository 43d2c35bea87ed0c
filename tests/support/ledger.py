"""The ledger of durations: how many seconds each file of tests takes, in `tests/seconds.json`.

Files begin in the order of their seconds, the longest first: else one of those would be left to run
alone. In CI a file that grew by half fails the run, so that the gate stays as short as it is. A
busy machine is no growth: what counts is a file's share of the whole, and what a file computes once
for all runs (see `remembered`) is left out.

`make test` runs everything, with `--ledger`; `make ledger` writes what it took, rounded, so that
little changes from one writing to the next.
"""

import json
import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.sizes import FULL
from tests.support.remembered import Spent

FILE = Path(__file__).parents[1] / "seconds.json"
GROWTH = 1.5
LEAST_SECONDS = 30.0
"""What a file may grow by, however short it was: less is the machine's noise."""
NOTED_SECONDS = 1.0
"""Shorter files stand in no ledger: there are many, and none of them matters."""

Seconds = dict[str, float]
_ROOT = FILE.parents[1]


def read() -> Seconds:
    """Return the ledger: the seconds of each file."""
    ledger: Seconds = json.loads(FILE.read_text())
    return ledger


def longest_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the tests in the order of their files; what the ledger does not know comes first."""
    known = read()

    def order(item: pytest.Item) -> float:
        name = item.nodeid.partition("::")[0]
        if name in known:
            return -known[name]
        mark = item.get_closest_marker("timeout")
        # A file without an entry is short, or new: a time-out of its own says that it may be long.
        return -float(mark.args[0]) if mark and mark.args else 0.0

    longest: dict[Path, float] = {}
    for item in items:
        longest[item.path] = min(longest.get(item.path, 0.0), order(item))
    return sorted(items, key=lambda item: longest[item.path])


def grown(ledger: Mapping[str, float], took: Mapping[str, float]) -> list[str]:
    """Return in words which files take half as much again as the ledger says, or are missing."""
    known = set(ledger) & set(took)
    expected = sum(ledger[name] for name in known)
    # How much slower than the ledger's this machine is, as it is at the moment.
    pace = sum(took[name] for name in known) / expected if expected else 1.0
    found = []
    for name, seconds in sorted(took.items()):
        usual = ledger.get(name, NOTED_SECONDS) * pace
        if seconds > usual * GROWTH and seconds > usual + LEAST_SECONDS * pace:
            found.append(f"{name} took {seconds:.0f} s instead of {usual:.0f}")
    return found


def rounded(took: Mapping[str, float]) -> Seconds:
    """Return what is written down: whole seconds, the longest first."""
    noted = {name: round(seconds) for name, seconds in took.items() if seconds >= NOTED_SECONDS}
    return dict(sorted(noted.items(), key=lambda it: (-it[1], it[0])))


class Ledger:
    """Adds up what each file takes, in the process that hears of all tests."""

    def __init__(self) -> None:
        self._took: Seconds = {}
        self._complaints: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add one phase of a test; that of a subtest is a part of it."""
        if isinstance(report, pytest.SubtestReport):
            return
        name = report.nodeid.partition("::")[0]
        once = sum(float(str(it)) for key, it in report.user_properties if str(key) == _ONCE)
        self._took[name] = self._took.get(name, 0.0) + report.duration - once

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write or compare, when everything ran and passed."""
        if session.exitstatus != pytest.ExitCode.OK or FULL:
            return
        if os.environ.get("LEDGER") == "write":
            FILE.write_text(json.dumps(rounded(self._took), indent=1) + "\n")
        elif os.environ.get("CI") == "true":
            self._complaints = grown(read(), self._took)
            if self._complaints:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how long all files took one after the other, and which grew."""
        terminalreporter.write_line(
            f"{sum(self._took.values()):.0f} s of tests, one after the other"
        )
        for complaint in self._complaints:
            terminalreporter.write_line(f"grew by half (make ledger, if it must): {complaint}")


_ONCE = "seconds spent once"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the option of a run of everything."""
    parser.addoption("--ledger", action="store_true", help="compare what each file takes")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the ledger where all reports arrive: not in the processes of xdist."""
    if config.getoption("--ledger") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Ledger(), "ledger")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; within a file the order stays as it is."""
    items[:] = longest_first(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Tell with each phase what of it was spent for all runs."""
    report = yield
    if spent := Spent.take():
        report.user_properties.append((_ONCE, str(spent)))
    return report
