"""Native buckets: added up exactly over processes, dead and alive, and as exact as their schema."""

import math
import random
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from prefork_metrics import values as of_process
from prefork_metrics.directory import absorb, native_records
from prefork_metrics.directory.native_records import BOUNDS, KIND, PLACES
from prefork_metrics.exposition import Exposition
from prefork_metrics.native import NativeHistogram
from prefork_metrics.protobuf import native
from prefork_metrics.registry import Registry
from prefork_metrics.values import Store
from tests.prefork_metrics.processes import Other
from tests.support.metric_messages import ACCEPT, families

Buckets = dict[int, int]
SECONDS = (
    0.0,
    -1.0,
    1e-9,
    BOUNDS[0],
    1.5e-6,
    0.25,
    0.25000001,
    1.0,
    59.0,
    BOUNDS[-1],
    1e5,
    math.inf,
)


def decoded(message: Any) -> tuple[int, Buckets]:
    """Return the zero bucket and the others by their index, as Prometheus reads them."""
    found: Buckets = {}
    index = count = 0
    deltas = iter(message.positive_delta)
    for span in message.positive_span:
        index += span.offset
        for _ in range(span.length):
            count += next(deltas)
            found[index] = count
            index += 1
    assert next(deltas, None) is None
    return message.zero_count, found


def expected(seconds: list[float]) -> tuple[int, Buckets]:
    """Say it by the definition: bucket i ends at 2^(i/8), and that is in it."""
    zeros, found = 0, dict[int, int]()
    for amount in seconds:
        if amount <= 2.0**-20:
            zeros += 1
        else:
            index = next((i for i in range(-159, 97) if amount <= 2.0 ** (i / 8)), 8193)
            found[index] = found.get(index, 0) + 1
    return zeros, found


@pytest.fixture
def other(other: Callable[[], Other]) -> Callable[[], Other]:
    """Make another process that has a histogram."""

    def make() -> Other:
        made = other()
        made.do(
            "n = prefork_metrics.NativeHistogram('took', 'Help.', ['x'], buckets=[0.5])",
            "inf = float('inf')",
        )
        return made

    return make


@pytest.fixture
def shown(directory: Path) -> Callable[[], dict[str, Any]]:
    """Return what one scraper shows of the family, by the label's value."""
    exposition = Exposition(Registry("nobody", client=CollectorRegistry()))

    def look() -> dict[str, Any]:
        body, _ = exposition.render(ACCEPT)
        return {
            metric.label[0].value: metric.histogram
            for family in families(body)
            if family.name == "took"
            for metric in family.metric
        }

    return look


Look = Callable[[], dict[str, Any]]


def observe(process: Other, amounts: list[float], label: str = "a") -> None:
    process.do(f"[n.labels('{label}').observe(s) for s in {amounts}]")


def test_counts_of_all_processes_add_up_dead_or_alive(
    other: Callable[[], Other], shown: Look, directory: Path
) -> None:
    chance = random.Random(1)
    amounts = [[10 ** chance.uniform(-7, 4) for _ in range(200)] for _ in range(3)]
    processes = [other() for _ in amounts]
    for process, of_one in zip(processes, amounts, strict=True):
        observe(process, [*of_one, *SECONDS])
    everything = [one for of_one in amounts for one in [*of_one, *SECONDS]]
    for end in (None, processes[0].kill, processes[1].end, processes[2].kill):
        if end is not None:
            end()
        absorb(directory)
        found = shown()["a"]
        assert (found.schema, found.zero_threshold) == (3, 2.0**-20)
        assert decoded(found) == expected(everything)
        assert found.sample_count == len(everything) == found.bucket[-1].cumulative_count
        assert found.bucket[0].cumulative_count == sum(one <= 0.5 for one in everything)
    assert [path.name for path in directory.glob(f"{KIND}_*")] == [
        path.name.replace("histogram", KIND).replace(".db", ".side")
        for path in directory.glob("histogram_archive*")
    ]


def test_text_has_nothing_of_it(other: Callable[[], Other], directory: Path) -> None:
    observe(other(), [0.1, 2.0])
    body, _ = Exposition(Registry("nobody", client=CollectorRegistry())).render("")
    lines = [line for line in body.decode().splitlines() if "took" in line[:11]]
    assert lines == [
        "# HELP took Help.",
        "# TYPE took histogram",
        'took_bucket{le="0.5",x="a"} 1.0',
        'took_bucket{le="+Inf",x="a"} 2.0',
        'took_sum{x="a"} 2.1',
        'took_count{x="a"} 2.0',
    ]


def test_removed_series_counts_from_then_on(
    other: Callable[[], Other], shown: Look, directory: Path
) -> None:
    one, two = other(), other()
    for process in (one, two):
        observe(process, [0.1, 3.0])
        observe(process, [0.2], "b")
    one.do("n.remove('a')")
    assert list(shown()) == ["b"]
    observe(two, [3.0, 3.0])
    for end in (None, two.kill, one.kill):
        if end is not None:
            end()
        absorb(directory)
        assert decoded(shown()["a"]) == expected([3.0, 3.0])
        assert decoded(shown()["b"]) == expected([0.2, 0.2])
    three = other()
    three.do("n.remove('b')")
    assert decoded(shown()["a"]) == expected([3.0, 3.0])
    assert "b" not in shown()


def test_what_is_not_whole_is_shown_without(
    other: Callable[[], Other], shown: Look, directory: Path
) -> None:
    one, two = other(), other()
    for process in (one, two):
        observe(process, [0.1, 3.0])
        observe(process, [0.2], "b")
    side = next(path for path in directory.glob(f"{KIND}_*"))
    whole = side.read_bytes()
    size = 8 * PLACES
    used = int.from_bytes(whole[:4], "little")
    for spoilt in (b"", b"\1", whole[: used - size - 8], bytes(len(whole)), b"\xff" * used):
        side.write_bytes(spoilt)
        found = shown()["b"]
        assert not found.HasField("schema") and not found.positive_span
        assert found.sample_count == 2
    side.unlink()
    one.kill()
    two.kill()
    absorb(directory)
    assert not shown()["a"].HasField("schema")
    assert shown()["a"].sample_count == 4


def test_counts_wait_in_memory_and_come_back(
    directory: Path, monkeypatch: pytest.MonkeyPatch, shown: Look
) -> None:
    store = Store()
    monkeypatch.setattr(of_process, "store", store)
    histogram = NativeHistogram("took", "Help.", ["x"], registry=CollectorRegistry())
    histogram.labels("a").observe(0.1)
    for path in directory.iterdir():
        path.unlink()
    store.check()  # it is lost, and begins anew
    histogram.labels("a").observe(3.0)
    histogram.labels("a").observe(float("nan"))
    store.check()
    assert decoded(shown()["a"]) == expected([3.0])
    store.leave()


def test_quantiles_are_within_the_schemas_width() -> None:
    chance = random.Random(2)
    amounts = sorted(chance.lognormvariate(-3, 1.5) for _ in range(20_000))
    counts = [0.0] * PLACES
    for amount in amounts:
        counts[bisect_left(BOUNDS, amount)] += 1
    for quantile in (0.5, 0.9, 0.99, 0.999):
        rank, reached, place = quantile * len(amounts), 0.0, 0
        while reached + counts[place] < rank:
            reached += counts[place]
            place += 1
        found = math.sqrt(BOUNDS[place - 1] * BOUNDS[place])
        assert found == pytest.approx(amounts[int(rank)], rel=0.05)


def test_no_observation_is_a_native_histogram_too() -> None:
    assert native.buckets([0.0] * PLACES)
    assert native_records.encode({}) == b"\x08" + bytes(7)


@pytest.mark.parametrize("spoilt", [math.nan, math.inf, -1.0, 1e300])
@pytest.mark.parametrize("dead", [False, True])
def test_spoilt_file_costs_native_buckets_and_nothing_else(
    other: Callable[[], Other], shown: Look, directory: Path, spoilt: float, dead: bool
) -> None:
    observe(other(), [0.1, 2.0], "sound")
    process = other()
    observe(process, [0.1, 2.0, 3.0])
    if dead:
        process.kill()
    (path,) = (it for it in directory.glob(f"{KIND}_*") if '"a"' in str(it.read_bytes()))
    found = native_records.read(path)
    for counts in found.values():
        counts[7] = spoilt
    with path.open("r+b") as file:
        file.write(native_records.encode(found))
    for _ in range(2):
        histograms = shown()
        assert (histograms["a"].sample_count, histograms["a"].schema) == (3, 0)
        assert not histograms["a"].positive_span
        assert decoded(histograms["sound"]) == expected([0.1, 2.0])


@pytest.mark.parametrize("key", ['["took", "took", {"x": ["a"]}, ""]', "[" * 5000, "[1, 2]"])
def test_key_that_is_none_is_left_out(
    other: Callable[[], Other], shown: Look, directory: Path, key: str
) -> None:
    observe(other(), [0.1])
    path = directory / f"{KIND}_gone.side"
    path.write_bytes(native_records.encode({key: [1.0] * PLACES}))
    assert decoded(shown()["a"]) == expected([0.1])
