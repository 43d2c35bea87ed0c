"""The scrape in protocol buffers, read by Google's runtime: what the text says, and starts."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
    SummaryMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Exemplar

from prefork_metrics.directory import absorb
from prefork_metrics.exposition import Encoding, Exposition
from prefork_metrics.registry import Registry
from tests.prefork_metrics.processes import Other
from tests.support import metric_messages
from tests.support.metric_messages import ACCEPT, families, start, values

PROTOBUF = "application/vnd.google.protobuf"
DELIMITED = f"{PROTOBUF};proto=io.prometheus.client.MetricFamily;encoding=delimited"


def of_text(body: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def same(one: float, two: float) -> bool:
    return one == two or (math.isnan(one) and math.isnan(two))


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Other]]:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    made: list[Other] = []

    def make() -> Other:
        made.append(Other())
        return made[-1]

    yield make
    for one in made:
        one.end()


EVERYTHING = (
    "counter.labels('ü\"\\\\\\n').inc(7.25, exemplar={'trace_id': 'a1'})",
    "counter.labels('').inc(300)",
    "gauge.labels('a').set(-0.0)",
    "modes['mostrecent'].labels('set').set(float('nan'))",
    "modes['all'].labels('a').set(float('inf'))",
    "[histogram.labels('a').observe(n / 100) for n in range(300)]",
    "histogram.labels('a').observe(0.25, exemplar={'trace_id': 'b2'})",
    "summary.labels('a').observe(3)",
    "info.labels('a').info({'version': '1'})",
    "enum.labels('a').state('on')",
)


def test_says_what_the_text_says_of_the_living_and_the_dead(
    other: Callable[[], Other], tmp_path: Path
) -> None:
    one, two, three = other(), other(), other()
    for process in (one, two, three):
        process.do(*EVERYTHING)
    two.kill()
    absorb(tmp_path)
    three.kill()
    registry = Registry("nobody", client=CollectorRegistry())
    exposition = Exposition(registry)
    for _ in range(2):
        text, _ = exposition.render("")
        body, content_type = exposition.render(ACCEPT)
        assert content_type == (
            f"{PROTOBUF}; proto=io.prometheus.client.MetricFamily; encoding=delimited; "
            "escaping=allow-utf-8"
        )
        expected, found = of_text(text), values(body)
        assert expected.keys() == found.keys()
        differing = {key for key in found if not same(found[key], expected[key])}
        assert {name for name, _ in differing} <= {"nobody_metrics_collect_duration_seconds"}
        one.do(*EVERYTHING)
    by_name = {family.name: family for family in families(body)}
    for name in ("hits_total", "seconds", "sizes"):
        assert all(start(metric) > 1.7e9 for metric in by_name[name].metric), name
    (hits,) = [one for one in by_name["hits_total"].metric if one.label[0].value]
    assert hits.counter.exemplar.label[0].value == "a1"
    assert hits.counter.exemplar.value == 7.25
    assert hits.counter.exemplar.timestamp.seconds > 1.7e9
    (seconds,) = by_name["seconds"].metric
    assert seconds.histogram.bucket[0].exemplar.label[0].value == "b2"
    assert by_name["level"].metric[0].gauge.HasField("value")


def collected() -> list[Metric]:
    """Return one family of each type that a collector can give."""
    counter = CounterMetricFamily("c", "Help ü.", labels=["x"])
    counter.add_metric(["1"], 5, created=1_700_000_000.25, timestamp=12.5)
    counter.add_metric(["2"], 6, exemplar=Exemplar({"trace_id": "t"}, 1.0, 2.0006))
    summary = SummaryMetricFamily("s", "Help.", count_value=3, sum_value=1.5)
    summary.add_sample("s", {"quantile": "0.5"}, 0.25)
    histogram = HistogramMetricFamily("h", "Help.", labels=["x"])
    histogram.add_metric(["1"], [("0.5", 1), ("+Inf", 4)], sum_value=9)
    gauge_histogram = GaugeHistogramMetricFamily("g", "Help.")
    gauge_histogram.add_metric([], [("0.5", 1), ("+Inf", 4)], gsum_value=9)
    states = StateSetMetricFamily("e", "Help.", {"on": True, "off": False})
    info = InfoMetricFamily("i", "Help.", {"version": "1"})
    return [
        counter,
        summary,
        histogram,
        gauge_histogram,
        states,
        info,
        UnknownMetricFamily("u", "Help.", 8),
    ]


def test_families_of_collectors_of_every_type() -> None:
    body = Encoding(ACCEPT).encoded(collected())
    found = {(name, *sorted(labels)): value for (name, labels), value in values(body).items()}
    assert found == {
        ("c_total", ("x", "1")): 5,
        ("c_total", ("x", "2")): 6,
        ("s_count",): 3,
        ("s_sum",): 1.5,
        ("s", ("quantile", "0.5")): 0.25,
        ("h_count", ("x", "1")): 4,
        ("h_sum", ("x", "1")): 9,
        ("h_bucket", ("le", "0.5"), ("x", "1")): 1,
        ("h_bucket", ("le", "+Inf"), ("x", "1")): 4,
        ("g_count",): 4,
        ("g_sum",): 9,
        ("g_bucket", ("le", "0.5")): 1,
        ("g_bucket", ("le", "+Inf")): 4,
        ("e", ("e", "on")): 1,
        ("e", ("e", "off")): 0,
        ("i_info", ("version", "1")): 1,
        ("u",): 8,
    }
    one, two = next(families(body)).metric
    assert (start(one), one.timestamp_ms) == (1_700_000_000.25, 12_500)
    # No more of the time than Prometheus keeps, by which ours are ordered.
    shown_at = two.counter.exemplar.timestamp
    assert (start(two), shown_at.seconds, shown_at.nanos) == (0.0, 2, 0)
    assert [family.type for family in families(body)] == [0, 2, 4, 5, 1, 1, 3]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        (PROTOBUF, False),  # it does not say of what, nor how they are told apart
        (DELIMITED, True),
        (f"{DELIMITED};q=0", False),
        (f"{DELIMITED};q=none", False),
        (f"{DELIMITED};q=0.4,text/plain;q=0.5", False),
        (f"{DELIMITED};q=0.4,application/json;q=0.5", True),
        (f"text/plain,{DELIMITED}", False),
        (f"{DELIMITED},text/plain", True),
        (f"{DELIMITED};q=0.1,*/*;q=1", False),
        (f"*/*;q=1, {DELIMITED};q=0.1", False),
        (f"{DELIMITED};q=0.1,text/*", False),
        (f"{DELIMITED};q=0.1,application/*", False),
        (f"{DELIMITED};q=0.5,*/*;q=0.5", True),
        (f"{DELIMITED};q=0.5,*/*;q=0.1", True),
        (f"{DELIMITED};q=0.5,image/*", True),
        # What says more of a format counts for it alone.
        (f"*/*,text/plain;q=0.1,application/openmetrics-text;q=0.1,{DELIMITED};q=0.5", True),
        (f"*/*,text/*;q=0.1,application/*;q=0.1,{DELIMITED};q=0.5", True),
        (f"*/*,text/plain;q=0.1,{DELIMITED};q=0.5", False),
        (f"{DELIMITED.replace('delimited', 'text')}", False),
        (f"{DELIMITED.replace(';', ' ; ')}", True),
    ],
)
def test_only_who_likes_it_best_gets_it(accept: str, wanted: bool) -> None:
    assert Encoding(accept).protobuf is wanted
    assert Encoding(accept, protobuf=False).protobuf is False


@pytest.mark.parametrize(
    ("escaping", "name"), [("allow-utf-8", "a.ü"), ("dots", "a_dot___"), ("nonsense", "a__")]
)
def test_names_are_escaped_as_was_asked(escaping: str, name: str) -> None:
    family = Metric("a.ü", "Help.", "gauge")
    family.add_sample("a.ü", {"b.ü": "c"}, 1.0)
    (found,) = families(Encoding(f"{DELIMITED};escaping={escaping}").encoded([family]))
    assert found.name == name
    assert found.metric[0].label[0].name == name.replace("a", "b", 1)


def test_family_without_samples_is_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Encoding(ACCEPT).encoded([Metric("m", "Help.", "gauge")]) == b""


def test_process_without_a_directory_tells_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    registry = Registry("alone", client=CollectorRegistry())
    registry.counter("orders_total", "Help.", {}).child().inc(3)
    body, _ = Exposition(registry).render(ACCEPT)
    found: dict[str, Any] = {family.name: family for family in families(body)}
    assert found["alone_orders_total"].metric[0].counter.value == 3
    assert metric_messages.start(found["alone_orders_total"].metric[0]) > 1.7e9
    assert "alone_metrics_collect_errors_total" not in found  # nothing was left out


@pytest.mark.parametrize(("quality", "written"), [("0.1", True), ("0", False), ("nan", False)])
def test_openmetrics_that_is_refused_is_not_written(quality: str, written: bool) -> None:
    accept = f"application/openmetrics-text;version=1.0.0;q={quality},*/*;q=0.01"
    assert Encoding(accept).openmetrics is written


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("application/openmetrics-text;q=0.1,text/plain;q=0.5", False),
        ("text/plain;version=1.0.0;q=0.1,application/openmetrics-text;version=1.0.0;q=0.5", True),
        ("application/openmetrics-text;q=0.1,*/*", False),
        ("application/*,text/plain;q=0.5", True),
        ("application/openmetrics-text;version=0.0.1,text/plain;q=0.5", False),
        ("Application/OpenMetrics-Text;version=1.0.0", True),
    ],
)
def test_text_format_that_is_liked_best_is_written(accept: str, openmetrics: bool) -> None:
    assert Encoding(accept).openmetrics is openmetrics


@pytest.mark.parametrize("piece", [",", "a,", "*/*,", "text/*;q=0.1,"])
def test_header_of_thousands_of_ranges_costs_no_more_than_it_is_long(piece: str) -> None:
    """One of gunicorn's may have 8190 bytes; what grows with the square of them takes seconds."""

    def seconds(length: int) -> float:
        found = []
        for _ in range(5):
            began = time.process_time()
            Encoding(piece * (length // len(piece)))
            found.append(time.process_time() - began)
        return min(found)

    assert seconds(8190) < 10 * seconds(8190 // 4), "16 times as much for 4 times the length"
