"""SIGKILL at every step of absorbing, and scrapers that watch: never lost, double or backward."""

import mmap
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from prefork_metrics.directory import Membership, absorb, codec, layout, prepare, snapshot
from prefork_metrics.directory.codec import ValueFileUnreadableError
from prefork_metrics.values import ValueFile
from tests.prefork_metrics.directory.support import (
    BUCKET,
    Totals,
    ended_by,
    exemplars_seen,
    fork,
    key,
    names,
    run_to_step,
    seen,
    write,
    write_dead,
)
from tests.sizes import size

pytestmark = pytest.mark.integration

COMPLETE = 7
"""Files after an absorption: six of the archive, and the manifest."""


def fill(directory: Path) -> Totals:
    """Two dead members, one with a bad file, over the archive of a third."""
    prepare(directory)
    write_dead(directory, 1)
    absorb(directory)
    bad = write_dead(directory, 2)
    write_dead(directory, 4)
    layout.values_path(directory, "counter", bad).write_bytes(b"garbled!")
    (directory / "counter_x.db.bad").touch()
    return _expected()


def _expected() -> Totals:
    return {
        ("hits_total", (("path", "/"),)): 5.0,
        ("time_sum", ()): 3.5,
        ("time_count", ()): 21.0,
        ("time_bucket", (("le", "0.5"),)): 7.0,
        ("time_bucket", (("le", "+Inf"),)): 21.0,
        ("size_count", ()): 7.0,
        ("size_sum", ()): 21.0,
        ("peak", ()): 4.0,
        ("latest", ()): 4.0,
    }


def readable(directory: Path) -> Totals:
    """What a scrape shows that leaves out the bad file, as ours does."""
    for path in directory.glob("counter_*.db"):
        if path.read_bytes() == b"garbled!":
            path.rename(directory / "aside")
            try:
                return seen(directory)
            finally:
                (directory / "aside").rename(path)
    return seen(directory)


def test_kill_at_any_step_changes_nothing_that_is_seen(tmp_path: Path) -> None:
    steps = 0
    while True:
        directory = tmp_path / str(steps)
        expected = fill(directory)
        killed = run_to_step(lambda at=directory: absorb(at), steps)  # type: ignore[misc]
        assert readable(directory) == expected
        assert exemplars_seen(directory) == {BUCKET: "r4"}

        absorb(directory)
        assert exemplars_seen(directory) == {BUCKET: "r4"}

        assert seen(directory) == expected
        assert len([name for name in names(directory) if ".bad" not in name]) == COMPLETE
        if not killed:
            break
        steps += 1
    assert steps > 40


def test_two_kills_in_a_row_change_nothing_that_is_seen(tmp_path: Path) -> None:
    for number in range(size(15, 40)):
        directory = tmp_path / str(number)
        expected = fill(directory)
        for _ in range(2):
            run_to_step(lambda at=directory: absorb(at), random.randrange(45))  # type: ignore[misc]
            assert readable(directory) == expected
        write_dead(directory, 0)
        absorb(directory)
        absorb(directory)

        assert seen(directory) == expected
        assert len([name for name in names(directory) if ".bad" not in name]) == COMPLETE


def test_kill_while_cleaning_is_made_good_by_the_next_start(tmp_path: Path) -> None:
    steps, killed = 0, True
    while killed:
        directory = tmp_path / str(steps)
        fill(directory)
        killed = run_to_step(lambda at=directory: prepare(at), steps)  # type: ignore[misc]
        assert prepare(directory) == 0
        assert names(directory) == []
        steps += 1
    assert steps > 10


class Ledger:
    """Numbers that outlive whoever writes them: what each writer has done.

    Not by struct.pack_into, which fills the place with zeros first: a kill may come in between.
    """

    def __init__(self, slots: int) -> None:
        self._memory = mmap.mmap(-1, 8 * slots)
        self._numbers = memoryview(self._memory).cast("q")

    def __setitem__(self, slot: int, value: int) -> None:
        self._numbers[slot] = value

    def __getitem__(self, slot: int) -> int:
        return self._numbers[slot]

    def close(self) -> None:
        self._numbers.release()
        self._memory.close()


def count_for_ever(directory: Path, ledger: Ledger, slot: int) -> None:
    member = Membership(directory)
    file = ValueFile(layout.values_path(directory, "counter", member.name), "counter")
    place = file.index(key("hits"))
    done = 0
    while True:
        done += 1
        file.doubles[place] = float(done)
        ledger[slot] = done  # a kill between the two: one in flight
        if done % 500 == 0:
            time.sleep(0.0005)


def counted(ledger: Ledger, slots: int) -> int:
    return sum(ledger[slot] for slot in range(slots))


def hits(directory: Path) -> float:
    """The counter as a scrape shows it, which leaves out a file that is just being made."""
    total = 0.0
    with snapshot(directory) as taken:
        for file in taken.files:
            with suppress(ValueFileUnreadableError):
                total += sum(entry.value for entry in codec.read(file))
    return total


def watch(directory: Path, until: float) -> None:
    last = 0.0
    while time.monotonic() < until:
        total = hits(directory)
        assert total >= last, f"fell from {last} to {total}"
        last = total


def test_scrapers_never_see_a_counter_fall_while_members_are_killed(directory: Path) -> None:
    ledger = Ledger(1000)
    until = time.monotonic() + 2.0
    watchers = [fork(lambda: watch(directory, until)) for _ in range(3)]
    writers: list[int] = []
    slots = 0
    # A starved machine takes longer over as much.
    while time.monotonic() < until or slots <= 10 or counted(ledger, slots) <= 1000:
        while len(writers) < 3:
            writers.append(fork(lambda slot=slots: count_for_ever(directory, ledger, slot)))  # type: ignore[misc]
            slots += 1
        time.sleep(random.uniform(0.005, 0.02))
        _kill(writers.pop(0))
        # Now and then the absorber is killed too.
        if random.random() < 0.5:
            run_to_step(lambda: absorb(directory), random.randrange(25))
        absorb(directory)
    for pid in writers:
        _kill(pid)

    assert [ended_by(pid) for pid in watchers] == [0, 0, 0]
    absorb(directory)
    done = counted(ledger, slots)
    assert done <= hits(directory) <= done + slots
    left = [name for name in names(directory) if not name.endswith(".bad")]
    assert left == [
        left[0],
        "manifest.json",
        left[0].replace("counter", "starts").replace(".db", ".side"),
    ]
    ledger.close()


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_readers_without_a_pause_do_not_keep_the_absorber_out(directory: Path) -> None:
    until = time.monotonic() + 0.6
    watchers = [fork(lambda: watch(directory, until)) for _ in range(4)]
    longest = 0.0
    while time.monotonic() < until:
        write(directory, "counter", str(random.randrange(10**9)), {key("hits"): 1})
        begun = time.monotonic()
        absorb(directory)
        longest = max(longest, time.monotonic() - begun)

    assert [ended_by(pid) for pid in watchers] == [0] * 4
    assert longest < 1.0
