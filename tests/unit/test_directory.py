"""The metrics directory: who lives in it is known, and files of the living stay."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import MetricsDirectoryError
from app.telemetry.directory import Membership, mark_dead, prepare

VALUES = ["counter_7.db", "histogram_7.db", "gauge_livesum_7.db", "gauge_livemostrecent_7.db"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "metrics"


def fill(directory: Path) -> None:
    for name in VALUES:
        (directory / name).write_bytes(b"values")


def values(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.glob("*.db"))


def test_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"

    assert prepare(directory) == 0
    assert directory.is_dir()


def test_empty_house_is_cleaned(directory: Path) -> None:
    prepare(directory)
    fill(directory)

    assert prepare(directory) == 0
    assert values(directory) == []


def test_files_of_a_live_member_stay(directory: Path) -> None:
    prepare(directory)
    member = Membership(directory)
    fill(directory)

    assert prepare(directory) == 1
    assert values(directory) == sorted(VALUES)
    member.leave()


def test_members_are_counted_one_by_one(directory: Path) -> None:
    prepare(directory)
    members = [Membership(directory) for _ in range(3)]
    assert prepare(directory) == 3

    members.pop().leave()

    assert prepare(directory) == 2
    for member in members:
        member.leave()
    assert prepare(directory) == 0


def test_leaving_leaves_no_marker(directory: Path) -> None:
    prepare(directory)
    Membership(directory).leave()

    assert [file.name for file in directory.iterdir()] == ["door.lock"]


@pytest.fixture
def other_process(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that lives in the directory."""
    prepare(directory)
    code = (
        "import sys; from pathlib import Path; from app.telemetry.directory import Membership\n"
        "membership = Membership(Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None and process.stdout.readline()
        yield process
        process.kill()


def test_member_in_another_process_lives_until_it_is_killed(
    directory: Path, other_process: subprocess.Popen[bytes]
) -> None:
    fill(directory)
    assert prepare(directory) == 1
    assert values(directory) == sorted(VALUES)

    other_process.send_signal(signal.SIGKILL)
    other_process.wait(10)

    assert prepare(directory) == 0
    assert values(directory) == []
    assert list(directory.glob("member_*")) == []


def test_fork_does_not_end_the_place_of_its_parent(directory: Path) -> None:
    prepare(directory)
    member = Membership(directory)
    # What a forked worker does with the descriptor that it inherited.
    inherited = os.dup(member._descriptor)
    os.close(inherited)

    assert prepare(directory) == 1
    member.forget()
    assert prepare(directory) == 0


@pytest.mark.parametrize(
    "name", ["notes.txt", "vibebox.db", "counter.txt", "gauge_7.sqlite", "data.db"]
)
def test_directory_with_other_things_is_refused_untouched(directory: Path, name: str) -> None:
    directory.mkdir()
    fill(directory)
    (directory / name).write_text("precious")

    with pytest.raises(MetricsDirectoryError, match=rf"holds other things \({name}\)") as caught:
        prepare(directory)

    assert str(directory) in str(caught.value)
    assert (directory / name).read_text() == "precious"
    assert set(VALUES) <= set(values(directory))


def test_refusal_names_a_few_of_many(directory: Path) -> None:
    directory.mkdir()
    for number in range(9):
        (directory / f"file-{number}").touch()

    with pytest.raises(MetricsDirectoryError, match=r"\(file-0, file-1, file-2, …\)"):
        prepare(directory)


def test_subdirectory_is_a_stranger(directory: Path) -> None:
    (directory / "home").mkdir(parents=True)

    with pytest.raises(MetricsDirectoryError, match="holds other things"):
        prepare(directory)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_directory_that_cannot_be_made_is_refused_in_one_sentence(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(MetricsDirectoryError, match="cannot be made") as caught:
        prepare(tmp_path / place)

    assert str(caught.value).endswith("name a directory that this user may write.")
    assert "\n" not in str(caught.value)


def test_directory_of_somebody_else_is_refused(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere

    with pytest.raises(MetricsDirectoryError, match="cannot be written by this user"):
        prepare(directory)


def test_marking_dead_drops_only_the_live_gauges_of_that_process(directory: Path) -> None:
    prepare(directory)
    fill(directory)
    (directory / "gauge_livesum_8.db").touch()

    mark_dead(directory, 7)

    assert values(directory) == ["counter_7.db", "gauge_livesum_8.db", "histogram_7.db"]
