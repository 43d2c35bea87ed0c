"""A start cleans only an empty house, and refuses one that is not ours in one sentence."""

import os
from pathlib import Path

import pytest

from prefork_metrics.directory import Membership, absorb, prepare, starting
from prefork_metrics.errors import MetricsDirectoryError
from tests.prefork_metrics.directory.support import (
    ended_by,
    fork,
    key,
    living,
    names,
    seen,
    write,
    write_dead,
)


def test_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    assert prepare(tmp_path / "a" / "b") == 0
    assert (tmp_path / "a" / "b").is_dir()


def test_empty_house_is_cleaned(directory: Path) -> None:
    write_dead(directory)
    absorb(directory)
    write_dead(directory)
    write(directory, "counter", "4711", {key("a"): 1})
    (directory / "counter_archive2.db.tmp").touch()
    (directory / "counter_x.db.bad").touch()

    assert prepare(directory) == 0
    assert names(directory) == []


@pytest.mark.integration
def test_start_beside_a_live_agent_keeps_the_counts(directory: Path) -> None:
    write_dead(directory, 2)

    def count(agent: Membership) -> None:
        write(directory, "counter", agent.name, {key("ticks"): 5})

    with living(directory, count):
        assert prepare(directory) == 1
        assert seen(directory)["hits_total", (("path", "/"),)] == 2
        assert seen(directory)["ticks", ()] == 5
        assert len([name for name in names(directory) if "archive" not in name]) == 3
    assert prepare(directory) == 0
    assert names(directory) == []


def test_start_goes_on_where_the_dead_cannot_be_absorbed(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    member = Membership(directory)

    def full(directory: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(starting, "absorb", full)
    assert prepare(directory) == 1
    assert [record.message for record in caplog.records] == ["the dead are not absorbed"]
    member.leave()


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "vibebox.db", "counter.txt", "gauge_7.sqlite", "data.db", "x.tmp", "y.bad"],
)
def test_directory_with_other_things_is_refused_untouched(directory: Path, name: str) -> None:
    write_dead(directory)
    (directory / name).write_text("precious")
    before = names(directory)

    with pytest.raises(MetricsDirectoryError, match=rf"holds other things \({name}\)") as caught:
        prepare(directory)

    assert str(directory) in str(caught.value)
    assert names(directory) == before


def test_refusal_names_a_few_of_many(directory: Path) -> None:
    for number in range(9):
        (directory / f"file-{number}").touch()

    with pytest.raises(MetricsDirectoryError, match=r"\(file-0, file-1, file-2, …\)"):
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


def test_file_that_cannot_be_cleaned_away_is_refused_in_one_sentence(directory: Path) -> None:
    (directory / "counter_7.db").mkdir()

    with pytest.raises(MetricsDirectoryError, match="cannot be put in order") as caught:
        prepare(directory)
    assert "\n" not in str(caught.value)


@pytest.mark.integration
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_read_only_directory_is_read_and_refused_clearly(tmp_path: Path) -> None:
    directory = tmp_path / "metrics"
    prepare(directory)
    write_dead(directory)

    def as_nobody() -> None:
        os.chdir(directory)  # what is above belongs to the user who runs the tests
        os.setuid(65534)
        here = Path(".")
        assert seen(here)["size_count", ()] == 1
        with pytest.raises(MetricsDirectoryError, match="cannot be written"):
            prepare(here)
        for use in (Membership, absorb):
            with pytest.raises(PermissionError):
                use(here)

    assert ended_by(fork(as_nobody)) == 0
    assert absorb(directory).members == 1
