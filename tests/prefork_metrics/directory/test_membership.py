"""Who lives is known to the kernel alone."""

import os
import re
import signal
from pathlib import Path

import pytest

from prefork_metrics.directory import Membership, disk, locks, snapshot
from prefork_metrics.errors import MetricsDirectoryBusyError
from tests.prefork_metrics.directory.support import ended_by, fork, living, names, run_to_step


def counts(directory: Path) -> tuple[int, int]:
    with snapshot(directory) as taken:
        return taken.live, taken.dead


def test_member_lives_until_it_leaves(directory: Path) -> None:
    member = Membership(directory)
    assert counts(directory) == (1, 0)

    member.leave()

    assert counts(directory) == (0, 0)
    assert names(directory) == []


def test_leaving_twice_does_nothing_more(directory: Path) -> None:
    member = Membership(directory)
    member.leave()
    member.leave()
    member.forget()


def test_name_never_repeats_and_survives_stock_tools(directory: Path) -> None:
    members = [Membership(directory) for _ in range(3)]

    assert len({member.name for member in members}) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", member.name) for member in members)
    for member in members:
        member.leave()


@pytest.mark.integration
def test_killed_process_is_dead_at_once(directory: Path) -> None:
    with living(directory) as pid:
        assert counts(directory) == (1, 0)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert counts(directory) == (0, 1)


@pytest.mark.integration
def test_forked_child_that_forgets_leaves_the_parent_its_place(directory: Path) -> None:
    member = Membership(directory)
    assert ended_by(fork(member.forget)) == 0
    assert counts(directory) == (1, 0)
    member.leave()


@pytest.mark.integration
def test_child_that_forgot_does_not_keep_the_place_of_a_dead_parent(directory: Path) -> None:
    end_reader, end_writer = os.pipe()
    ready_reader, ready_writer = os.pipe()

    def child(member: Membership) -> None:
        member.forget()
        os.close(end_writer)
        os.write(ready_writer, b"1")
        os.read(end_reader, 1)

    def parent() -> None:
        member = Membership(directory)
        fork(lambda: child(member))
        os.read(ready_reader, 1)

    assert ended_by(fork(parent)) == 0
    assert counts(directory) == (0, 1)
    for descriptor in (end_writer, end_reader, ready_reader, ready_writer):
        os.close(descriptor)


@pytest.mark.integration
@pytest.mark.parametrize("step", range(3))
def test_death_while_joining_leaves_no_member(directory: Path, step: int) -> None:
    run_to_step(lambda: Membership(directory), step)

    assert counts(directory)[0] == 0


def test_two_who_ask_do_not_take_each_other_for_the_member(directory: Path) -> None:
    Membership(directory).forget()
    with snapshot(directory) as first, snapshot(directory) as second:
        assert (first.live, second.live) == (0, 0)
        assert (first.dead, second.dead) == (1, 1)


def test_marker_of_somebody_else_counts_as_live(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Membership(directory).forget()
    real = os.open

    def refuse_markers(path: str | Path, *arguments: int) -> int:
        if "member_" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", refuse_markers)
    assert counts(directory) == (1, 0)


def test_wait_at_the_door_is_bounded(directory: Path) -> None:
    with locks.exclusive(directory):
        with pytest.raises(MetricsDirectoryBusyError, match=r"held by another process"):
            with snapshot(directory, wait=0.01):
                pass
        with pytest.raises(MetricsDirectoryBusyError):
            with locks.exclusive(directory, wait=0.01):
                pass
    with snapshot(directory), snapshot(directory):
        pass


def test_nothing_is_announced_twice(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    monkeypatch.setattr(disk, "step", steps.append)
    Membership(directory).leave()
    assert len(steps) == len(set(steps)) == 3
