"""The end of a run is seen as it comes, and what is read then is booked once, whatever fails.

The processes are real and so is what the kernel tells of their ends; their control groups are files
of the test (see `test_real_ends` for those of containers).
"""

import errno
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from app.agent.usage import sources
from app.agent.usage.ends import Ends
from app.agent.usage.meter import Meter
from app.core.errors import EngineTimeoutError, StorageUnavailableError
from app.domain.usage.booking import Totals
from app.domain.usage.ledger import Ledger, Reading, Run
from app.engine import ContainerState, GroupFiles, RunCounters
from app.storage import ExitReason
from app.storage.fence import unfenced
from tests.agent.usage.support import NS, World, sums
from tests.engine.test_cgroups import group
from tests.support.fakes import NOTHING_USED

SOON = 10.0
CPU = "usage_usec {}\nuser_usec 0\nthrottled_usec 0\n"


class Process:
    """A process, and the files of its group."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.process = subprocess.Popen(["sleep", "60"])
        self.files: GroupFiles = group(directory, self.process.pid)

    def use(self, seconds: float) -> None:
        (self.directory / "cpu.stat").write_text(CPU.format(round(seconds * 1e6)))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[str], Process]]:
    begun: list[Process] = []

    def one(name: str) -> Process:
        begun.append(Process(tmp_path / name))
        return begun[-1]

    yield one
    for process in begun:
        process.end()


class Watch:
    """Waits for ends, and for what is read then."""

    def __init__(self, most: int | None = None) -> None:
        self.seen = threading.Semaphore(0)
        self.ends = Ends(self.seen.release, most)

    def add(self, process: Process, name: str) -> None:
        self.ends.watch(Run(name, "then"), process.files, partial(reading, name))

    def wait(self) -> list[str]:
        """Wait for an end, and return whose readings there are."""
        assert self.seen.acquire(timeout=SOON)
        return [one.run.container_id for one in self.ends.readings()]

    def close(self) -> None:
        assert self.ends.close(SOON) == []


@pytest.fixture
def watch() -> Iterator[Watch]:
    with closing(Watch()) as made:
        yield made


def reading(name: str, counters: RunCounters) -> Reading:
    assert None not in (counters.network_rx_bytes, counters.network_tx_bytes)
    kills = -1 if counters.oom_kills is None else counters.oom_kills
    totals = Totals(1, cpu_ns=counters.cpu_ns, oom_kills=kills)
    return Reading(Run(name, "then"), name, totals, 0, 0.0, is_last=True)


def test_run_is_read_when_it_ends_with_its_network(
    watch: Watch, begin: Callable[[str], Process]
) -> None:
    one, two = begin("one"), begin("two")
    for process, name in ((one, "one"), (two, "two"), (one, "one")):
        watch.add(process, name)
    one.use(3)
    one.end()
    assert watch.wait() == ["one"]
    assert watch.ends.readings()[0].totals.cpu_ns == 3 * NS
    two.end()
    assert watch.wait() == ["one", "two"]
    watch.ends.forget(1)
    assert [one.run.container_id for one in watch.ends.readings()] == ["two"]
    assert not watch.seen.acquire(blocking=False)


def test_cpu_is_known_where_docker_was_quicker_with_the_rest(
    watch: Watch, begin: Callable[[str], Process], tmp_path: Path
) -> None:
    """The file of the CPU time was opened before; that of a group that is gone tells no more."""
    one, two = begin("one"), begin("two")
    watch.add(one, "one")
    watch.add(two, "two")
    one.use(3)
    one.directory.rename(tmp_path / "gone")
    one.end()
    assert watch.wait() == ["one"]
    (last,) = watch.ends.readings()
    assert (last.totals.cpu_ns, last.totals.oom_kills) == (3 * NS, -1)
    (two.directory / "cpu.stat").write_text("")
    two.end()
    assert watch.wait() == ["one"]


def test_run_that_is_over_is_not_waited_for(watch: Watch, begin: Callable[[str], Process]) -> None:
    process = begin("one")
    process.end()
    watch.add(process, "one")
    other = begin("two")
    watch.add(other, "two")
    other.end()
    assert watch.wait() == ["two"]


def test_reading_that_fails_holds_up_no_other(
    watch: Watch, begin: Callable[[str], Process], caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = begin("bad"), begin("good")
    watch.ends.watch(Run("bad", "then"), bad.files, lambda counters: 1 / 0)  # type: ignore[arg-type,return-value]
    watch.add(good, "good")
    bad.end()
    assert watch.wait() == []
    good.end()
    assert watch.wait() == ["good"]
    assert "usage: an end could not be read" in caplog.messages


def test_as_many_are_watched_as_fit(
    begin: Callable[[str], Process], caplog: pytest.LogCaptureFixture
) -> None:
    one, two, three = (begin(name) for name in ("one", "two", "three"))
    with closing(Watch(most=1)) as watch:
        for process, name in ((one, "one"), (two, "two"), (three, "three")):
            watch.add(process, name)
        assert caplog.messages == ["ends of runs unwatched"]
        one.end()
        assert watch.wait() == ["one"]
        watch.add(two, "two")  # for which there is room now
        two.end()
        assert watch.wait() == ["one", "two"]
    watch.add(three, "three")  # after the end of the term
    assert len(watch.ends.readings()) == 2


class Unsteady(Ledger):
    """Cannot book for some times."""

    failures = 0

    def store(self, readings: list[Reading]) -> None:  # type: ignore[override]
        if self.failures:
            self.failures -= 1
            raise StorageUnavailableError
        super().store(readings)


def test_last_reading_waits_for_the_database(
    world: World, begin: Callable[[str], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    process, container = begin("one"), world.environment("one")
    monkeypatch.setattr(sources, "group_files", lambda *_: process.files)
    inspect = world.engine.inspect
    monkeypatch.setattr(
        world.engine, "inspect", lambda id: replace(inspect(id), pid=process.process.pid)
    )
    ledger = Unsteady(world.database, unfenced)
    meter = Meter(world.database, world.engine, ledger, 0)
    process.use(2)
    meter.run()
    process.use(5)
    process.end()
    assert meter.wanted.wait(SOON)
    process.directory.rename(process.directory.parent / "gone")
    world.engine.used["one"] = replace(NOTHING_USED, read_at_ns=time.time_ns() + NS)
    world.note_end(container)
    ledger.failures = 1
    with pytest.raises(StorageUnavailableError):
        meter.run()
    for _ in range(2):
        meter.run()
    booked = sums(world.database)[None]
    assert (booked["cpu_ns"], booked["runs"]) == (5 * NS, 1)
    assert (booked["unread_ns"], booked["unread_runs"]) == (0, 0)
    assert meter.close(SOON) == []


def test_engine_that_hangs_holds_up_no_files(
    world: World, begin: Callable[[str], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for the next run of those that are over once all files are read."""
    processes = {world.environment(name): begin(name) for name in ("one", "two", "three")}
    monkeypatch.setattr(sources, "group_files", lambda id, _: processes[id].files)
    inspect, read = world.engine.inspect, GroupFiles.read
    monkeypatch.setattr(
        world.engine, "inspect", lambda id: replace(inspect(id), pid=processes[id].process.pid)
    )
    meter = Meter(world.database, world.engine, Ledger(world.database, unfenced), 0)
    course: list[str] = []

    def noted(files: GroupFiles, network: int | None = None) -> RunCounters:
        course.append(files.groups[""].name)
        return read(files, network)

    def hang(id: str) -> ContainerState:
        course.append("engine")
        raise EngineTimeoutError

    for _ in range(2):  # which are known first, and then have an order
        course.clear()
        meter.run()
        monkeypatch.setattr(GroupFiles, "read", noted)
    (first,) = (one for one in processes.values() if one.directory.name == course[0])
    first.directory.rename(first.directory.parent / "gone")
    monkeypatch.setattr(world.engine, "inspect", hang)
    course.clear()
    meter.run()
    assert sorted(course[:3]) == ["one", "three", "two"] and course[3:] == ["engine"]
    assert meter.close(SOON) == []


def test_next_run_is_read_in_the_round_in_which_the_last_one_is_over(
    world: World, begin: Callable[[str], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = world.environment("near"), world.environment("far")
    processes = {near: [begin("first"), begin("second")]}
    monkeypatch.setattr(
        sources, "group_files", lambda id, _: processes[id][0].files if id == near else None
    )
    inspect = world.engine.inspect

    def with_pid(id: str) -> ContainerState:
        pid = processes[id][0].process.pid if id == near else 1
        return replace(inspect(id), pid=pid)

    monkeypatch.setattr(world.engine, "inspect", with_pid)
    meter = Meter(world.database, world.engine, Ledger(world.database, unfenced), 0)
    processes[near][0].use(2)
    world.use(far, 100)
    meter.run()
    processes[near].pop(0).directory.rename(begin("beside").directory / "gone")
    for container in (near, far):
        world.begin_again(container)
    processes[near][0].use(3)
    world.use(far, 50)
    meter.run()
    booked = sums(world.database)[None]
    assert (booked["cpu_ns"], booked["runs"]) == (5 * NS + 150, 4)
    assert meter.close(SOON) == []


def store(world: World, container: str, *, is_last: bool, kills: int = 0) -> None:
    """Book what the container has used."""
    state = world.engine.inspect(container)
    totals = Totals(
        read_at_ns=world.used(container).read_at_ns,
        cpu_ns=world.used(container).cpu_ns,
        memory_bytes=world.used(container).memory_bytes,
        oom_kills=kills,
    )
    run = Run(container, state.started or "")
    Ledger(world.database, unfenced).store(
        [Reading(run, state.environment_id or "", totals, 0, 0.0, is_last)]
    )


@pytest.mark.parametrize(("kills", "unread"), [(1, 0), (-1, 7 * NS)])
def test_nothing_is_left_to_book_after_a_last_reading(
    world: World, kills: int, unread: int
) -> None:
    """But a kill for want of memory, where the kernel counts none."""
    container = world.environment("one")
    world.use(container, 100, memory_bytes=1000)
    store(world, container, is_last=False)
    world.use(container, 50, memory_bytes=0)
    store(world, container, is_last=True, kills=kills)
    world.note_end(container, ExitReason.OOM, after=7)
    for _ in range(2):
        world.meter().run()
    booked = sums(world.database)[None]
    assert (booked["cpu_ns"], booked["oom_kills"]) == (150, 1)
    assert booked["unread_ns"] == unread
    # Its memory is free at the last reading: until then it held what it held before.
    assert booked["memory_byte_seconds"] == 1000 * (19 + 10)


@pytest.mark.parametrize("lacking", ["eventfd", "epoll"])
def test_want_of_files_costs_none(
    watch: Watch, begin: Callable[[str], Process], monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    """Where nothing can be waited with, a run is read as it was before; and later it can."""
    process = begin("one")
    module = os if lacking == "eventfd" else select

    def used_up(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(module, lacking, used_up)
        for _ in range(3):
            watch.add(process, "one")
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # what wakes the threads is made once
    watch.add(process, "one")
    process.end()
    assert watch.wait() == ["one"]
