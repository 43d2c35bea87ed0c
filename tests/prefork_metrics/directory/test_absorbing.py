"""The dead are absorbed exactly, and what cannot be read costs only itself."""

import errno
import math
import os
import random
from pathlib import Path

import pytest

from prefork_metrics.directory import (
    Absorption,
    Membership,
    absorb,
    absorption,
    codec,
    disk,
    layout,
    snapshot,
)
from prefork_metrics.directory.codec import Entry
from prefork_metrics.directory.merging import merge
from tests.prefork_metrics.directory.support import (
    everything,
    key,
    membership_ended,
    names,
    same,
    seen,
    write,
    write_dead,
)

SPECIAL = (math.inf, -math.inf, math.nan, 0.0, -1.0, 1e-9, 1e300)


def random_number() -> float:
    return random.choice((*SPECIAL, random.uniform(0, 1e6), random.randrange(1000)))


def random_values(prefix: str) -> dict[str, float | tuple[float, float]]:
    labels = [{}, {"a": "x"}, {"a": "ü\n", "b": '"'}, {"le": "0.1"}, {"le": "+Inf"}, {"le": "5"}]
    keys = [key(f"{prefix}{n}", f"{prefix}{n}_total", **some) for n in (1, 2) for some in labels]
    chosen = random.sample(keys, random.randrange(len(keys) + 1))
    return {name: (random_number(), random.choice((0.0, random.random() * 1e9))) for name in chosen}


def write_random(directory: Path) -> Membership:
    member = Membership(directory)
    modes = ("all", "min", "max", "sum", "mostrecent", "livesum", "liveall", "livemax", "livemin")
    for prefix in ("counter", "histogram", "summary", *(f"gauge_{mode}" for mode in modes)):
        if random.random() < 0.8:
            write(directory, prefix, member.name, random_values(prefix.replace("_", "")))
    return member


@pytest.mark.parametrize("round_", range(25))
def test_scrape_shows_the_same_before_and_after(directory: Path, round_: int) -> None:
    living = [write_random(directory) for _ in range(2)]
    for _ in range(random.randrange(1, 3)):
        dead = [write_random(directory) for _ in range(random.randrange(1, 4))]
        for member in dead:
            membership_ended(member)
        before = seen(directory)

        assert absorb(directory) == Absorption(members=len(dead), bad_files=0)
        after = seen(directory)

        # A NaN wins or loses a comparison by its place, with the stock collector too; and sums
        # that have no value may come out as NaN or infinite by their order.
        doubtful = {name for name in before if not math.isfinite(before[name] + after[name])}
        assert before.keys() == after.keys()
        assert same(
            {name: value for name, value in before.items() if name not in doubtful},
            {name: value for name, value in after.items() if name not in doubtful},
        )
    for member in living:
        member.leave()


def test_everything_of_many_dead_comes_to_one_archive(directory: Path) -> None:
    for amount in (1, 2, 4):
        write_dead(directory, amount)

    assert absorb(directory) == Absorption(members=3)

    assert names(directory) == [
        "counter_archive1.db",
        "exemplars_archive1.side",
        "gauge_max_archive1.db",
        "gauge_mostrecent_archive1.db",
        "histogram_archive1.db",
        "manifest.json",
        "summary_archive1.db",
    ]
    assert seen(directory) == {
        ("hits_total", (("path", "/"),)): 7.0,
        ("time_sum", ()): 3.5,
        ("time_count", ()): 21.0,
        ("time_bucket", (("le", "0.5"),)): 7.0,
        ("time_bucket", (("le", "+Inf"),)): 21.0,
        ("size_count", ()): 7.0,
        ("size_sum", ()): 21.0,
        ("peak", ()): 4.0,
        ("latest", ()): 4.0,
    }


def test_sum_keeps_what_rounding_takes() -> None:
    entry = [Entry("k", 0.1, 99.0)]
    merged = entry
    for _ in range(999):
        merged = merge("counter", [(merged, merged is not entry), (entry, False)])

    ((_, total, rest),) = merged
    assert math.fsum((total, rest)) == math.fsum([0.1] * 1000) == 100.0
    assert rest != 0.0 or total == 100.0


def test_scrape_that_adds_the_rests_never_falls_by_rounding(directory: Path) -> None:
    def total() -> float:
        with snapshot(directory) as taken:
            return math.fsum(
                number
                for file in taken.files
                for entry in codec.read(file)
                for number in (entry.value, entry.timestamp if file in taken.archive else 0.0)
            )

    last = 0.0
    for _ in range(40):
        member = Membership(directory)
        write(directory, "counter", member.name, {key("a"): random.uniform(0, 10) ** 9})
        membership_ended(member)
        before = total()
        absorb(directory)
        assert total() == before >= last
        last = before


def test_living_members_are_left_alone(directory: Path) -> None:
    member = Membership(directory)
    write(directory, "counter", member.name, {key("a"): 1})
    before = names(directory)

    assert absorb(directory) == Absorption()
    assert names(directory) == before
    member.leave()


def test_live_gauges_of_the_dead_are_gone_before_they_are_absorbed(directory: Path) -> None:
    write_dead(directory)
    assert ("busy", ()) not in seen(directory)
    assert ("peak", ()) in seen(directory)


def test_file_named_by_a_pid_belongs_to_the_dead(directory: Path) -> None:
    write(directory, "counter", "4711", {key("a"): 3})

    assert absorb(directory) == Absorption(members=1)
    assert seen(directory) == {("a", ()): 3.0}


@pytest.mark.integration
def test_directory_stays_small_after_200_replacements(directory: Path) -> None:
    write_dead(directory)
    absorb(directory)
    size = sum((directory / name).stat().st_size for name in names(directory))
    for _ in range(200):
        write_dead(directory)
        absorb(directory)

    assert len(names(directory)) == 7
    assert sum((directory / name).stat().st_size for name in names(directory)) <= 1.2 * size
    assert seen(directory)["hits_total", (("path", "/"),)] == 201


def test_many_dead_are_absorbed_in_several_goes(directory: Path) -> None:
    for _ in range(2 * absorption.BATCH + 1):
        write_dead(directory)

    assert absorb(directory).members == 2 * absorption.BATCH + 1
    assert seen(directory)["size_count", ()] == 2 * absorption.BATCH + 1


@pytest.mark.parametrize("content", [b"", b"abc", bytes([9] * 64)], ids=["empty", "cut", "garbled"])
@pytest.mark.parametrize("prefix", everything(1))
def test_bad_file_costs_only_itself(directory: Path, prefix: str, content: bytes) -> None:
    bad = layout.values_path(directory, prefix, write_dead(directory))
    bad.write_bytes(content)
    write_dead(directory)
    live = prefix.startswith("gauge_live")

    assert absorb(directory) == Absorption(members=2, bad_files=0 if live else 1)

    found = seen(directory)
    assert found["hits_total", (("path", "/"),)] == (1 if prefix == "counter" else 2)
    assert found["time_sum", ()] == (0.5 if prefix == "histogram" else 1)
    assert found["size_sum", ()] == (3 if prefix == "summary" else 6)
    assert found["peak", ()] == 1
    assert [name for name in names(directory) if name.endswith(".bad")] == (
        [] if live else [bad.name + ".bad"]
    )


def test_bad_archive_costs_only_itself(directory: Path) -> None:
    write_dead(directory)
    absorb(directory)
    (directory / "counter_archive1.db").write_bytes(b"")
    write_dead(directory)

    assert absorb(directory) == Absorption(members=1, bad_files=1)
    assert seen(directory)["hits_total", (("path", "/"),)] == 1
    assert seen(directory)["size_count", ()] == 2


def test_bad_manifest_is_put_right(directory: Path) -> None:
    write_dead(directory)
    absorb(directory)
    (directory / "manifest.json").write_text("{")
    assert seen(directory)["size_count", ()] == 1
    write_dead(directory)

    assert absorb(directory) == Absorption(members=1, bad_files=1)
    assert seen(directory)["size_count", ()] == 2


def test_file_that_vanishes_is_no_fault(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    member = write_dead(directory)
    scan = layout.scan

    def scan_and_lose(where: Path) -> layout.Listing:
        listing = scan(where)
        layout.values_path(where, "counter", member).unlink(missing_ok=True)
        return listing

    monkeypatch.setattr(layout, "scan", scan_and_lose)
    assert absorb(directory) == Absorption(members=1)


def test_only_the_newest_bad_files_are_kept(directory: Path) -> None:
    for _ in range(absorption.BAD_FILES_KEPT + 4):
        bad = write_dead(directory)
        layout.values_path(directory, "counter", bad).write_bytes(b"")
        absorb(directory)

    kept = [name for name in names(directory) if name.endswith(".bad")]
    assert len(kept) == absorption.BAD_FILES_KEPT
    assert f"counter_{bad}.db.bad" in kept


def test_files_that_cannot_be_deleted_do_not_count_twice(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        write_dead(directory)
    expected = seen(directory)
    with monkeypatch.context() as patch:
        patch.setattr(disk, "remove", lambda path: False)
        assert absorb(directory).members == 3
        assert absorb(directory).members == 0
        assert seen(directory) == expected
        write_dead(directory, 0)
        assert absorb(directory).members == 1
        assert seen(directory) == expected

    assert absorb(directory) == Absorption()
    assert seen(directory) == expected
    write_dead(directory, 0)
    absorb(directory)
    assert len(names(directory)) == 7
    assert (directory / "manifest.json").stat().st_size < 100


def test_full_disk_loses_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dead(directory)
    absorb(directory)
    write_dead(directory)
    expected = seen(directory)
    left = iter(range(3))

    def full(descriptor: int, offset: int, length: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(OSError, match="No space left"):
            absorb(directory)
    assert seen(directory) == expected

    assert absorb(directory).members == 1
    assert seen(directory) == expected
    assert len(names(directory)) == 7


def test_directory_that_is_gone_is_an_error(tmp_path: Path) -> None:
    for use in (absorb, seen, Membership):
        with pytest.raises(FileNotFoundError):
            use(tmp_path / "gone")
