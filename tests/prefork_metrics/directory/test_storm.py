"""A million increments in a storm of SIGKILL: none lost, none double, and no scrape sees a fall."""

import math
import mmap
import os
import random
import signal
import struct
import threading
import time
from collections import Counter as Counts
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from prefork_metrics import values
from prefork_metrics.aggregation import Aggregator, Beside
from prefork_metrics.directory import absorb, snapshot
from prefork_metrics.errors import MetricsDirectoryBusyError
from prefork_metrics.exposition import OPENMETRICS, Encoding, Files
from prefork_metrics.visibility import Visibility
from tests.prefork_metrics.directory.support import ended_by, fork, names, run_to_step
from tests.prefork_metrics.registry import registry

pytestmark = pytest.mark.integration

INCREMENTS = 1_000_000
PROCESSES = 8
THREADS = 4
KILLS = 200
SCRAPERS = 4
SECONDS = 0.1
"""What the counter of fractions and the histogram get; no double is a tenth, so sums round."""
EVERY = 10
"""Every so many increments they get it."""
BURST, PAUSE = 50, 0.004
"""Increments, seconds. More increments in a row: more kills hit one, and all takes longer."""

_MEMBERS = PROCESSES + KILLS
_PATIENCE = 60.0
"""Seconds to wait for the lock: 50 threads may share a core here, and nothing else is tested."""
_COUNTING, _STOPPED, _ENDED = range(3)


class Ledger:
    """What outlives a SIGKILL: the increments of each thread, and who does what."""

    def __init__(self) -> None:
        self._format = f"{1 + SCRAPERS + _MEMBERS + _MEMBERS * THREADS}q"
        self._memory = mmap.mmap(-1, struct.calcsize(self._format))
        self.numbers = memoryview(self._memory).cast("q")
        self.scrapes = self.numbers[1 : 1 + SCRAPERS]
        self.idle = self.numbers[1 + SCRAPERS : 1 + SCRAPERS + _MEMBERS]
        self.done = self.numbers[1 + SCRAPERS + _MEMBERS :]

    @property
    def phase(self) -> int:
        return self.numbers[0]

    @phase.setter
    def phase(self, phase: int) -> None:
        self.numbers[0] = phase

    def of(self, member: int) -> list[int]:
        return self.done[member * THREADS : (member + 1) * THREADS].tolist()

    def total(self) -> int:
        return sum(self.done.tolist())

    def wait_for(self, total: float) -> None:
        while self.total() < total:
            time.sleep(0.001)


@dataclass
class Storm:
    """The members, by number: the living with their process ids, and the killed."""

    directory: Path
    ledger: Ledger
    living: dict[int, int] = field(default_factory=dict)
    killed: list[int] = field(default_factory=list)
    scrapers: list[int] = field(default_factory=list)

    def add(self) -> None:
        number = len(self.living) + len(self.killed)
        self.living[number] = fork(lambda: be_member(self.directory, self.ledger, number))

    def kill_one(self) -> None:
        number = random.choice(list(self.living))
        pid = self.living.pop(number)
        os.kill(pid, signal.SIGKILL)
        assert ended_by(pid) == -signal.SIGKILL
        self.killed.append(number)

    def absorb(self) -> None:
        """Whoever reaps absorbs; now and then is killed at it, or leaves it to the scrapers."""
        chance = random.random()
        if chance < 0.2:
            run_to_step(lambda: absorb(self.directory, _PATIENCE), random.randrange(25))
        elif chance < 0.6:
            absorb(self.directory, _PATIENCE)

    def end(self) -> None:
        """Leave nobody behind, whatever went wrong."""
        for pid in (*self.living.values(), *self.scrapers):
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def be_member(directory: Path, ledger: Ledger, number: int) -> None:
    """Count in four threads until told to stop, as a process of the service does."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    values.store = values.Store()
    values.install()
    own = CollectorRegistry()
    whole = Counter("storm_events", "Events.", ["member"], registry=own).labels(str(number))
    parts = Counter("storm_seconds", "Seconds.", registry=own)
    # Nothing moves it but a new member: so where an absorption takes an ulp from it, that shows.
    Counter("storm_still_seconds", "Seconds.", registry=own).inc(SECONDS * (number + 1))
    histogram = Histogram("storm_duration_seconds", "Durations.", registry=own)

    def count(slot: int) -> None:
        done = 0
        while ledger.phase == _COUNTING:
            done += 1
            whole.inc()
            if done % EVERY == 0:
                parts.inc(SECONDS)
                histogram.observe(SECONDS)
            ledger.done[slot] = done  # a kill before this: one in flight
            if done % BURST == 0:
                time.sleep(PAUSE)

    threads = [
        threading.Thread(target=count, args=(number * THREADS + thread,))
        for thread in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.idle[number] = 1
    while ledger.phase != _ENDED:
        time.sleep(0.005)


def be_scraper(directory: Path, ledger: Ledger, number: int) -> None:
    """Scrape without a pause; no series may fall, however little, or vanish."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    values.store = values.Store()
    files, encoding = Files(registry), Encoding(OPENMETRICS if number % 2 else "")
    before: dict[str, float] = {}
    while ledger.phase != _ENDED:
        try:
            shown = parsed(files.render(encoding, Visibility(registry)))
        except MetricsDirectoryBusyError:
            continue
        for series, value in before.items():
            assert shown[series] >= value, f"{series} fell from {value!r} to {shown[series]!r}"
        before = shown
        ledger.scrapes[number] += 1


def parsed(text: bytes) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.decode().splitlines())
    return {series: float(value) for series, _, value in lines if series.startswith("storm_")}


def scrape(directory: Path) -> dict[str, float]:
    with snapshot(directory, _PATIENCE) as current:
        beside = Beside(frozenset(current.archive), current.sides)
        rendered = Aggregator().render(sorted(current.files), False, beside=beside)
    assert rendered.errors == []
    return parsed(rendered.families)


@pytest.mark.timeout(300)
@pytest.mark.full
def test_a_million_increments_in_a_storm_of_kills(directory: Path) -> None:
    begun = time.monotonic()
    storm = Storm(directory, Ledger())
    try:
        rage(storm)
    finally:
        storm.end()
    print(f"{time.monotonic() - begun:.1f} s")


def rage(storm: Storm) -> None:
    directory, ledger = storm.directory, storm.ledger
    storm.scrapers += [
        fork(lambda number=number: be_scraper(directory, ledger, number))  # type: ignore[misc]
        for number in range(SCRAPERS)
    ]
    for _ in range(PROCESSES):
        storm.add()
    for number in range(KILLS):
        # Spread over the whole of the counting, at no moment that anything here chooses.
        ledger.wait_for((number + random.random()) * INCREMENTS / KILLS)
        storm.kill_one()
        storm.absorb()
        storm.add()
    ledger.wait_for(INCREMENTS)
    ledger.phase = _STOPPED
    while not all(ledger.idle[number] for number in storm.living):
        time.sleep(0.005)

    shown = scrape(directory)
    check(shown, storm)
    ledger.phase = _ENDED
    assert [ended_by(pid) for pid in (*storm.scrapers, *storm.living.values())] == [0] * 12

    absorb(directory)
    assert scrape(directory) == shown
    kinds = Counts(name.partition("_")[0] for name in names(directory))
    print(
        f"recorded {ledger.total()}, shown {total(shown):.0f}, kills {len(storm.killed)}, "
        f"scrapes {ledger.scrapes.tolist()}, left {dict(kinds)}"
    )


def check(shown: dict[str, float], storm: Storm) -> None:
    ledger = storm.ledger
    assert len(storm.killed) == KILLS
    assert ledger.total() >= INCREMENTS
    assert all(ledger.scrapes)
    assert ledger.total() <= total(shown) <= ledger.total() + KILLS * THREADS
    for member in storm.living:
        assert shown[series(member)] == sum(ledger.of(member))
    for member in storm.killed:
        # Killed before it had counted anything: it has no series, or one at 0.
        recorded = sum(ledger.of(member))
        assert recorded <= shown.get(series(member), 0.0) <= recorded + THREADS
    least = sum(done // EVERY for done in ledger.done.tolist())
    most = least + KILLS * THREADS
    assert least <= shown["storm_duration_seconds_count"] <= most
    for name in ("storm_seconds_total", "storm_duration_seconds_sum"):
        assert least * SECONDS * (1 - 1e-9) <= shown[name] <= most * SECONDS * (1 + 1e-9)
        assert math.isfinite(shown[name])


def total(shown: dict[str, float]) -> float:
    return sum(value for name, value in shown.items() if name.startswith("storm_events_total"))


def series(member: int) -> str:
    return f'storm_events_total{{member="{member}"}}'
