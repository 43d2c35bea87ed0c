"""Families as messages, and the start time of totals."""

from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from app.exporter.messages import MOST_BYTES, MOST_CHARACTERS
from app.exporter.metric_messages import requests
from app.exporter.start_time import StartTime

RESOURCE = {"service.name": "vibebox"}
TEXT = """
# HELP made_total Things made.
# TYPE made_total counter
made_total{kind="a\\"b"} 3.0
made_total{kind="c"} 1.5
# HELP level Now.
# TYPE level gauge
level -2.5
# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.1",route="/"} 2.0
took_seconds_bucket{le="1.0",route="/"} 5.0
took_seconds_bucket{le="+Inf",route="/"} 6.0
took_seconds_count{route="/"} 6.0
took_seconds_sum{route="/"} 7.25
# HELP waited_seconds How long.
# TYPE waited_seconds summary
waited_seconds_count 4.0
waited_seconds_sum 2.0
# HELP loose Whatever.
# TYPE loose untyped
loose 9.0
"""


def test_each_type_says_what_the_scrape_says() -> None:
    families = list(parse(TEXT))
    (body,) = requests(families, RESOURCE, 100, 200)
    message = ExportMetricsServiceRequest.FromString(body).resource_metrics[0]
    metrics = {metric.name: metric for metric in message.scope_metrics[0].metrics}
    assert list(metrics) == ["made_total", "level", "took_seconds", "waited_seconds", "loose"]
    made = metrics["made_total"].sum
    assert (made.is_monotonic, made.aggregation_temporality) == (True, 2)
    assert [point.as_double for point in made.data_points] == [3.0, 1.5]
    assert made.data_points[0].attributes[0].value.string_value == 'a"b'
    assert (made.data_points[0].start_time_unix_nano, made.data_points[0].time_unix_nano) == (
        100,
        200,
    )
    assert metrics["level"].gauge.data_points[0].as_double == -2.5
    (took,) = metrics["took_seconds"].histogram.data_points
    assert list(took.explicit_bounds) == [0.1, 1.0]
    assert list(took.bucket_counts) == [2, 3, 1]
    assert (took.count, took.sum) == (6, 7.25)
    (waited,) = metrics["waited_seconds"].summary.data_points
    assert (waited.count, waited.sum) == (4, 2.0)
    assert metrics["loose"].gauge.data_points[0].as_double == 9.0


@pytest.mark.parametrize("kind", ["gauge", "histogram"])
def test_requests_are_bounded(kind: str) -> None:
    """Also where one family alone has more series than fit."""
    text = "".join(
        f"# TYPE m{n} {kind}\n"
        + "".join(
            f'm{n}{{i="{i}",path="{"x" * 100}"}} 1\n'
            if kind == "gauge"
            else "".join(
                f'm{n}_bucket{{i="{i}",le="{le}",path="{"x" * 100}"}} 1\n'
                for le in (*range(1, 8), "+Inf")
            )
            for i in range(2000 if n == 1 else 100)
        )
        for n in range(3)
    )
    found = list(requests(parse(text), RESOURCE, 1, 2))
    assert max(map(len, found)) <= MOST_BYTES
    assert sum(map(len, found)) > 0.8 * MOST_BYTES * (len(found) - 1)
    series = [
        (metric.name, point.attributes[0].value.string_value)
        for body in found
        for metric in message_of(body).scope_metrics[0].metrics
        for point in getattr(metric, kind).data_points
    ]
    assert len(series) == len(set(series)) == 2200


def message_of(body: bytes) -> ResourceMetrics:
    message: ResourceMetrics = ExportMetricsServiceRequest.FromString(body).resource_metrics[0]
    return message


def test_a_long_value_is_cut() -> None:
    (body,) = requests(parse('m{a="' + "é" * 5000 + '"} 1\n'), RESOURCE, 1, 2)
    (point,) = message_of(body).scope_metrics[0].metrics[0].gauge.data_points
    assert point.attributes[0].value.string_value == "é" * MOST_CHARACTERS


def counted(value: float, name: str = "made") -> list:  # type: ignore[type-arg]
    return list(parse(f"# TYPE {name}_total counter\n{name}_total {value}\n"))


def test_the_start_stays_until_the_totals_begin_anew(tmp_path: Path) -> None:
    path = tmp_path / "start.json"
    first = StartTime(path, 1000)
    assert first.of(counted(5), 2000) == 1000
    assert StartTime(path, 9000).of(counted(6), 10_000) == 1000  # the next exporter
    assert StartTime(path, 11_000).of([*counted(6), *counted(3, "new")], 12_000) == 1000
    again = StartTime(path, 20_000)
    assert again.of(counted(0), 21_000) == 12_001
    assert again.of(counted(4), 22_000) == 12_001


def test_the_start_moves_with_the_directory_whatever_its_totals(tmp_path: Path) -> None:
    """Restarted, and grown beyond what was seen last before anybody looked."""
    path = tmp_path / "start.json"
    assert StartTime(path, 1000, lambda: "one").of(counted(5), 2000) == 1000
    assert StartTime(path, 3000, str).of(counted(6), 4000) == 1000  # nobody knows of which
    assert StartTime(path, 5000, lambda: "two").of(counted(9), 6000) == 4001
    assert StartTime(path, 7000, lambda: "two").of(counted(9), 8000) == 4001


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"start": "x", "looked": 1, "totals": {}}'])
def test_a_broken_file_begins_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "start.json").write_text(content)
    assert StartTime(tmp_path / "start.json", 7).of(counted(1), 8) == 7
