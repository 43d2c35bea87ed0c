"""Deltas add up to the total, whatever becomes of series and of who sends them."""

from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families as parse

from app.exporter.plans import Delta
from app.exporter.start_time import StartTime

STEADY = "".join(f"# TYPE s{n}_total counter\ns{n}_total 5\n" for n in range(20))


def plan(directory: Path, of: str = "") -> Delta:
    start = StartTime(directory / "start.json", 1, lambda: of)
    return Delta(directory / "pushed.json", {"service.name": "x"}, start)


def families(text: str) -> list[Metric]:
    return list(parse(STEADY + text))


def histogram(*cumulative: int) -> str:
    bounds = ("1.0", "2.0", "+Inf")
    lines = [f'h_bucket{{le="{le}"}} {n}' for le, n in zip(bounds, cumulative, strict=True)]
    return "# TYPE h histogram\n" + "\n".join(lines) + f"\nh_count {cumulative[-1]}\nh_sum 1\n"


def said(ours: Delta, text: str, now: int, *, through: bool = True) -> dict[str, list[float]]:
    """Return what a push says, by metric."""
    ours.take(families(text), now)
    (body,) = ours.taken
    if through:
        ours.through(body)
    message = ExportMetricsServiceRequest.FromString(body).resource_metrics[0]
    found: dict[str, list[float]] = {}
    for metric in message.scope_metrics[0].metrics:
        for histogram in metric.histogram.data_points:
            found[metric.name] = list(histogram.bucket_counts)
        for number in metric.sum.data_points:
            found[metric.name] = [number.as_double]
    return found


def test_only_what_was_added_is_said(tmp_path: Path) -> None:
    ours = plan(tmp_path)
    assert said(ours, histogram(1, 2, 3), 10)["h"] == [1, 1, 1]
    assert said(ours, histogram(1, 4, 5), 20)["h"] == [0, 2, 0]
    assert said(plan(tmp_path), histogram(1, 4, 6), 30)["h"] == [0, 0, 1]
    assert said(plan(tmp_path), histogram(1, 4, 6), 40)["s3_total"] == [0.0]


def test_a_series_that_began_anew_is_said_whole_and_holds_up_no_other(tmp_path: Path) -> None:
    ours = plan(tmp_path)
    said(ours, histogram(10, 10, 10), 10)
    found = said(ours, histogram(9, 12, 12), 20)
    assert found["h"] == [9, 3, 0]
    assert found["s0_total"] == [0.0]


def test_what_was_not_through_is_sent_again_unchanged(tmp_path: Path) -> None:
    ours = plan(tmp_path)
    said(ours, histogram(1, 1, 1), 10, through=False)
    (body,) = ours.pending()
    (again,) = plan(tmp_path).pending()
    assert again == body
    next_one = plan(tmp_path)
    next_one.through(again)
    assert said(next_one, histogram(2, 2, 2), 20)["h"] == [1, 0, 0]


def test_a_removed_series_moves_no_start_and_an_emptied_directory_does(tmp_path: Path) -> None:
    ours = plan(tmp_path)
    said(ours, "# TYPE gone_total counter\ngone_total 7\n", 10)
    assert said(ours, "", 20)["s1_total"] == [0.0]
    ours.take(list(parse("# TYPE s1_total counter\ns1_total 2\n")), 30)
    (body,) = ours.taken
    (metric,) = (
        ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0].metrics
    )
    (point,) = metric.sum.data_points
    assert (point.as_double, point.start_time_unix_nano) == (2.0, 21)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"acknowledged": [], "end": 1, "intended": {}, "intended_end": 1, "intent": []}',
        '{"acknowledged": {"a": "b"}, "end": 1, "intended": {}, "intended_end": 1, "intent": []}',
        '{"acknowledged": {}, "end": -1, "intended": {}, "intended_end": 1, "intent": []}',
        '{"acknowledged": {}, "end": 1, "intended": {}, "intended_end": 1, "intent": [7]}',
        '{"acknowledged": {}, "end": 1, "intended": {}, "intended_end": 1, "intent": ["/////w=="]}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_begun_anew_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    for name in ("pushed.json", "start.json"):
        (tmp_path / name).write_text(text)
    ours = plan(tmp_path)
    assert [record.message for record in caplog.records] == ["pushed totals are forgotten"]
    assert not ours.pending()
    assert said(ours, histogram(1, 2, 3), 10)["h"] == [1, 1, 1]


def test_no_start_is_later_than_now(tmp_path: Path) -> None:
    """The clock was ahead when the exporter began, and was put right."""
    path = tmp_path / "start.json"
    StartTime(path, 1000).of(families(""), 1000)
    start = StartTime(path, 100)
    assert [start.of(families(""), now) for now in (100, 200)] == [100, 100]
    ours = plan(tmp_path)
    said(ours, "", 5000)
    ours.take(families(""), 300)
    (body,) = ours.taken
    for metric in (
        ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0].metrics
    ):
        for point in metric.sum.data_points:
            assert point.start_time_unix_nano <= point.time_unix_nano == 300


def test_a_restart_that_outgrows_the_totals_is_said_whole(tmp_path: Path) -> None:
    """In the directory that came after, nothing of what was acknowledged is left."""
    said(plan(tmp_path, "one"), histogram(1, 2, 3), 10)
    assert said(plan(tmp_path, "two"), histogram(4, 6, 9), 20)["h"] == [4, 2, 3]
    assert said(plan(tmp_path, "two"), histogram(4, 6, 10), 30)["h"] == [0, 0, 1]
