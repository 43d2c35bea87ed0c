"""What is wrong with the directory, and which of the living a scrape can show."""

import errno
import os
from pathlib import Path

import pytest

from prefork_metrics.directory import (
    Heartbeat,
    Membership,
    State,
    Trouble,
    room,
    snapshot,
    trouble_with,
)
from prefork_metrics.directory import heartbeat as module
from prefork_metrics.directory.trouble import meaning
from prefork_metrics.errors import MetricsDirectoryBusyError
from tests.prefork_metrics.directory.support import key, names, write


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, Trouble.FULL),
        (errno.EDQUOT, Trouble.FULL),
        (errno.EROFS, Trouble.READ_ONLY),
        (errno.EACCES, Trouble.DENIED),
        (errno.EPERM, Trouble.DENIED),
        (errno.ENOENT, Trouble.MISSING),
        (errno.ENOTDIR, Trouble.MISSING),
        (errno.ESTALE, Trouble.OTHER),
        (errno.EIO, Trouble.OTHER),
        (errno.EMFILE, Trouble.OTHER),
    ],
)
def test_meaning(
    directory: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: Trouble
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    assert trouble_with(directory) is None
    monkeypatch.setattr("prefork_metrics.directory.trouble.allocate", refuse)
    found = trouble_with(directory)
    assert found and found[0] is told
    assert meaning(MetricsDirectoryBusyError("held")) is Trouble.BUSY
    assert meaning(ValueError("garbled")) is Trouble.OTHER


def test_directory_that_is_gone(directory: Path) -> None:
    found = trouble_with(directory / "nowhere")
    assert found and found[0] is Trouble.MISSING
    (directory / "file").touch()
    found = trouble_with(directory / "file" / "below")
    assert found and found[0] is Trouble.MISSING


@pytest.mark.parametrize("supported", [True, False], ids=["nameless", "looked at"])
def test_taking_room_leaves_nothing_behind(
    directory: Path, monkeypatch: pytest.MonkeyPatch, supported: bool
) -> None:
    if not supported:  # as on NFS
        monkeypatch.setattr("os.O_TMPFILE", os.O_DIRECTORY)
    room.allocate(directory, 1 << 16)
    assert names(directory) == []
    with pytest.raises(OSError, match=r"No space left|too large"):
        room.allocate(directory, 1 << 60)
    assert names(directory) == []


def states(directory: Path) -> dict[State, int]:
    with snapshot(directory) as current:
        return dict(current.states)


def test_member_without_a_heartbeat_is_shown(directory: Path) -> None:
    """It is of an older release."""
    member = Membership(directory)
    assert states(directory) == {State.SHOWN: 1}
    member.leave()
    assert states(directory) == {}


def test_member_that_found_no_room_is_hidden(directory: Path) -> None:
    member = Membership(directory)
    member.hide(True)
    assert states(directory) == {State.HIDDEN: 1}
    member.hide(False)
    assert states(directory) == {State.SHOWN: 1}
    member.leave()


def test_member_with_values_that_nobody_sees_is_hidden(directory: Path) -> None:
    member = Membership(directory)
    heart = Heartbeat(directory, member.name)
    assert states(directory) == {State.SHOWN: 1}  # it has not begun to publish
    heart.beat(hidden=3)
    assert states(directory) == {State.HIDDEN: 1}
    heart.beat(hidden=0)
    assert states(directory) == {State.SHOWN: 1}
    member.leave()


def test_live_gauges_of_a_silent_member_are_left_out(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = Membership(directory)
    heart = Heartbeat(directory, member.name)
    write(directory, "gauge_livesum", member.name, {key("busy"): 1})
    write(directory, "counter", member.name, {key("hits"): 1})
    heart.beat(hidden=0)
    with snapshot(directory) as current:
        assert len(current.files) == 2
    monkeypatch.setattr(module, "SILENT_SECONDS", -1.0)
    with snapshot(directory) as current:
        assert current.states == {State.SILENT: 1}
        assert [file.name.partition("_")[0] for file in current.files] == ["counter"]
    member.leave()


def test_garbled_heartbeat_hides_its_member_only_where_it_says_so(directory: Path) -> None:
    member = Membership(directory)
    Heartbeat(directory, member.name)
    (path,) = directory.glob("heartbeat_*")
    path.write_bytes(b"")
    assert states(directory) == {State.SHOWN: 1}
    member.leave()
