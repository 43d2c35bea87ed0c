"""When totals began: the first appearance of each series, whatever befalls its processes."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.openmetrics.exposition import UNDERSCORES
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from prefork_metrics.aggregation import Aggregator, Beside
from prefork_metrics.directory import absorb, layout, prepare
from prefork_metrics.directory.starts import KIND
from prefork_metrics.exposition import Encoding, Exposition, Files
from prefork_metrics.registry import Registry
from prefork_metrics.visibility import Visibility
from tests.prefork_metrics.aggregation.support import counter, key, write
from tests.prefork_metrics.processes import Other
from tests.prefork_metrics.registry import registry
from tests.support.metric_messages import ACCEPT, families

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
Starts = dict[str, float]
Look = Callable[[], Starts]


@pytest.fixture
def starts(directory: Path) -> Look:
    """Return what one scraper shows of the starts of the series `x="a"`, by sample name."""
    files = Files(registry)

    def look() -> Starts:
        text = files.render(Encoding("", created=True), Visibility(registry)).decode()
        return {
            sample.name.removesuffix("_created"): sample.value
            for family in plain(text)
            for sample in family.samples
            if sample.name.endswith("_created") and sample.labels.get("x") == "a"
        }

    return look


COUNT_ALL = (
    "counter.labels('a').inc(7)",
    "histogram.labels('a').observe(0.1)",
    "summary.labels('a').observe(1)",
)


def test_earliest_of_the_processes_holds_through_their_deaths(
    other: Callable[[], Other], starts: Look, directory: Path
) -> None:
    one, two = other(), other()
    before = time.time()
    one.do(*COUNT_ALL)
    after = time.time()
    two.do(*COUNT_ALL)
    first = starts()
    assert sorted(first) == ["hits", "seconds", "sizes"]
    assert all(before <= start <= after for start in first.values())

    one.kill()
    assert starts() == first  # the scrape absorbs the dead
    assert list(directory.glob("counter_archive*.db"))
    third = other()
    third.do(*COUNT_ALL)
    two.end()
    absorb(directory)
    third.kill()
    absorb(directory)
    assert starts() == first
    assert prepare(directory) == 0  # a restart: nobody lives there
    fourth = other()
    begun = time.time()
    fourth.do(*COUNT_ALL)
    assert all(start >= begun for start in starts().values())


def test_removed_series_begins_when_it_was_removed_and_so_it_stays(
    other: Callable[[], Other], starts: Look, directory: Path
) -> None:
    one = other()
    one.do(*COUNT_ALL)
    removal = time.time()
    one.do("counter.remove('a')", "counter.labels('a').inc(2)")
    first = starts()
    assert first["hits"] >= removal > first["seconds"]

    one.do("pairs.labels('p', 'q').inc()", "pairs.remove('p', 'q')")
    assert starts() == first
    one.kill()
    absorb(directory)
    assert starts() == first


def test_gauge_has_no_start_and_a_total_that_is_set_keeps_its_own(
    other: Callable[[], Other], starts: Look
) -> None:
    one = other()
    one.do("gauge.labels('a').set(1)", *COUNT_ALL)
    first = starts()
    assert "level" not in first
    one.do("counter.labels('a').reset()")
    assert starts() == first


def test_where_one_does_not_know_its_start_none_is_told(
    other: Callable[[], Other], starts: Look, directory: Path
) -> None:
    one = other()
    one.do(*COUNT_ALL)
    assert starts()["hits"]
    # As the stock library, or a release of ours before this, would have counted.
    write_stock(directory)
    absorb(directory)
    assert sorted(starts()) == ["seconds", "sizes"]


def write_stock(directory: Path) -> None:
    path = layout.values_path(directory, "counter", "4711")
    write(path, [(key("hits", "hits_total", {"x": "a"}, "Help."), 1.0, 0.0)])


def test_file_of_starts_that_is_spoilt_costs_no_more_than_starts(
    other: Callable[[], Other], starts: Look, directory: Path
) -> None:
    one = other()
    one.do(*COUNT_ALL)
    one.kill()
    absorb(directory)
    first = starts()
    (side,) = directory.glob(f"{KIND}_archive*.side")
    whole = side.read_bytes()
    for spoilt in (b"", whole[:11], whole[:-8], whole[:-3], bytes(len(whole))):
        side.write_bytes(spoilt)
        # As a scrape by another worker, which has not read it yet.
        text, _ = Exposition(registry).render("", created=True)
        assert b"hits_created" not in text
        assert b'hits_total{x="a"} 7.0' in text
    assert starts() == first  # known already


def test_text_without_starts_is_what_it_was(directory: Path, other: Callable[[], Other]) -> None:
    one = other()
    one.do(*COUNT_ALL)
    one.kill()
    absorb(directory)
    exposition = Exposition(Registry("nobody"))
    for accept, parse in (("", plain), (OPENMETRICS, openmetrics)):
        without, _ = exposition.render(accept)
        with_starts, _ = exposition.render(accept, created=True)
        assert b"_created" not in without
        assert list(parse(with_starts.decode()))
        lines = [line for line in with_starts.splitlines() if b"_created" not in line]
        assert _shown(lines) == _shown(without.splitlines())


def _shown(lines: list[bytes]) -> list[bytes]:
    """Return the lines of what does not differ from scrape to scrape."""
    return [line for line in lines if b"collect_duration" not in line and line.strip()]


def test_unknown_starts_are_no_file(directory: Path) -> None:
    counter(layout.values_path(directory, "counter", "4711"))
    absorb(directory)
    assert not list(directory.glob(f"{KIND}_*"))


@pytest.mark.parametrize("time", [math.nan, math.inf, -1.0, 1e300])
def test_time_that_cannot_be_one_is_not_known(directory: Path, time: float) -> None:
    path = write(directory / "counter_1.db", [(key("hits", "hits_total", {"x": "a"}), 7.0, time)])
    aggregator = Aggregator()
    in_text = aggregator.render([path], openmetrics=False, beside=Beside(), created=True)
    assert b"hits_total" in in_text.families and b"_created" not in in_text.families
    in_messages = aggregator.messages([path], UNDERSCORES, Beside()).families
    # Its owner is dead: this one takes it into the archive first.
    for body in (in_messages, Files(registry).render(Encoding(ACCEPT), Visibility(registry))):
        (family,) = (family for family in families(body) if family.name == "hits_total")
        assert family.metric[0].counter.value == 7
        assert not family.metric[0].counter.HasField("created_timestamp")
