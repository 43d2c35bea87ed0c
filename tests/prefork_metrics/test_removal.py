"""Series that are removed: by whom they are counted, when they show again, and after deaths."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from prefork_metrics import values
from prefork_metrics.directory import absorb, locks, remove
from prefork_metrics.exposition import Encoding, Files
from prefork_metrics.values import Store
from prefork_metrics.visibility import Visibility
from tests.prefork_metrics.directory.support import run_to_step
from tests.prefork_metrics.processes import Other
from tests.prefork_metrics.registry import registry
from tests.sizes import size

Shown = dict[tuple[str, ...], float]


@pytest.fixture
def shown(directory: Path) -> Callable[[], Shown]:
    """Return what a scrape shows, by sample name and label values; of one scraper all the time."""
    files = Files(registry)

    def look() -> Shown:
        text = files.render(Encoding(""), Visibility(registry)).decode()
        return {
            (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): (
                sample.value
            )
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if not sample.name.startswith(("test_", "vibebox_"))
        }

    return look


Processes = Callable[[], Other]
Look = Callable[[], Shown]


def test_what_others_counted_goes_and_what_they_count_from_then_on_shows(
    other: Processes, shown: Look
) -> None:
    one, two = other(), other()
    for process in (one, two):
        process.do("counter.labels('a').inc(5)", "counter.labels('b').inc(1)")
    assert shown()["hits_total", "x=a"] == 10

    one.do("counter.remove('a')")
    assert shown() == {("hits_total", "x=b"): 2}
    two.do("counter.labels('a').inc(2)")
    assert shown()["hits_total", "x=a"] == 2
    one.do("counter.labels('a').inc()")
    assert shown()["hits_total", "x=a"] == 3


@pytest.mark.parametrize("then", ["end", "kill"])
def test_a_removal_outlives_the_processes_and_their_absorption(
    directory: Path, other: Processes, shown: Look, then: str
) -> None:
    one, two, three = other(), other(), other()
    for process in (one, two, three):
        process.do("counter.labels('a').inc(5)")
    three.end()
    absorb(directory)
    assert shown()["hits_total", "x=a"] == 15
    one.do("counter.remove('a')")
    two.do("counter.labels('a').inc(0.5)")
    for process in (one, two):
        getattr(process, then)()
        assert shown()["hits_total", "x=a"] == 0.5
        absorb(directory)
        assert shown()["hits_total", "x=a"] == 0.5

    four = other()
    four.do("counter.remove('a')")
    assert shown() == {}
    assert not list(directory.glob("removed_*"))


def test_every_type_can_be_removed_and_begins_anew(other: Processes, shown: Look) -> None:
    one, two = other(), other()
    for process in (one, two):
        process.do(
            "histogram.labels('a').observe(0.3)",
            "summary.labels('a').observe(2)",
            "gauge.labels('a').set(4)",
            "info.labels('a').info({'of': 'x'})",
            "enum.labels('a').state('on')",
        )
    assert len(shown()) == 4 + 2 + 1 + 1 + 2
    for metric in ("histogram", "summary", "gauge", "info", "enum"):
        one.do(f"{metric}.remove('a')")
    assert shown() == {}

    two.do(
        "histogram.labels('a').observe(0.7)",
        "summary.labels('a').observe(3)",
        "gauge.labels('a').set(4)",
        "info.labels('a').info({'of': 'y'})",
        "enum.labels('a').state('off')",
    )
    assert shown() == {
        ("seconds_bucket", "le=0.5", "x=a"): 0,
        ("seconds_bucket", "le=+Inf", "x=a"): 1,
        ("seconds_count", "x=a"): 1,
        ("seconds_sum", "x=a"): pytest.approx(0.7),
        ("sizes_count", "x=a"): 1,
        ("sizes_sum", "x=a"): 3,
        ("level", "x=a"): 4,
        ("build_info", "of=y", "x=a"): 1,
        ("mode", "mode=off", "x=a"): 1,
        ("mode", "mode=on", "x=a"): 0,
    }


def test_clear_and_partial_labels_reach_what_only_others_have(
    other: Processes, shown: Look
) -> None:
    one, two = other(), other()
    two.do(
        "pairs.labels('a', '1').inc()",
        "pairs.labels('a', '2').inc()",
        "pairs.labels('b', '1').inc()",
    )
    one.do("pairs.remove_by_labels({'x': 'a'})")
    assert shown() == {("pairs_total", "x=b", "y=1"): 1}
    one.do("pairs.clear()")
    assert shown() == {}


@pytest.mark.parametrize(
    "call", [("remove",), ("remove", "a", "b"), ("remove_by_labels", {"y": "a"})]
)
def test_labels_that_do_not_fit_are_refused(call: tuple[Any, ...]) -> None:
    counter = Counter("refused", "Help.", ["x"], registry=CollectorRegistry())
    with pytest.raises(ValueError):
        getattr(counter, call[0])(*call[1:])
    with pytest.raises(ValueError):
        Counter("bare", "Help.", registry=CollectorRegistry()).remove("a")


def test_without_a_directory_a_removed_series_begins_at_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    monkeypatch.setattr(values, "store", Store())
    own = CollectorRegistry()
    counter = Counter("memory", "Help.", ["x"], registry=own)
    counter.labels("a").inc(5)
    counter.remove("a")
    assert own.get_sample_value("memory_total", {"x": "a"}) is None
    counter.labels("a").inc()
    assert own.get_sample_value("memory_total", {"x": "a"}) == 1


def test_a_removal_that_cannot_be_done_now_is_done_later(
    directory: Path, other: Processes, shown: Look
) -> None:
    one, two = other(), other()
    two.do("counter.labels('a').inc()")
    with locks.exclusive(directory):
        one.do("counter.remove('a')")
    assert shown() == {("hits_total", "x=a"): 1}
    one.do("store.check()")
    assert shown() == {}


def _of_a(family: str, labels: Mapping[str, str]) -> bool:
    return family == "hits" and labels == {"x": "a"}


def test_kill_at_any_step_of_a_removal_shows_all_or_nothing_of_it(
    directory: Path, other: Processes, shown: Look
) -> None:
    one, two = other(), other()
    before = 0
    for step in range(0, 100, size(9, 1)):
        for process in (one, two):
            process.do("counter.labels('a').inc(5)", "counter.labels('b').inc(1)")
        before += 2
        full = shown()["hits_total", "x=a"]

        ended = run_to_step(lambda: remove(directory, _of_a), step)
        found = shown()
        assert found["hits_total", "x=b"] == before
        assert found.get(("hits_total", "x=a"), 0) in (0, full)
        if not ended:
            assert ("hits_total", "x=a") not in found
            return
        one.do("counter.remove('a')")
        assert shown() == {("hits_total", "x=b"): before}
    pytest.fail("a removal has no end")
