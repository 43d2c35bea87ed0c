"""Metric families of a scrape as messages of OTLP: totals since a start, never one stream a worker.

https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from prometheus_client import Metric
from prometheus_client.samples import Sample

from app._version import __version__
from app.core.otlp_said import shown
from app.exporter.messages import MOST_BYTES, attributes


class Temporality(IntEnum):
    """Whether a point says all since the start, or what was added since the last one."""

    DELTA = pb.AGGREGATION_TEMPORALITY_DELTA
    CUMULATIVE = pb.AGGREGATION_TEMPORALITY_CUMULATIVE


_LE, _QUANTILE = "le", "quantile"
_FRAME = 8
"""Bytes at most that stand before a message within another."""
Labels = tuple[tuple[str, str], ...]
Point = pb.NumberDataPoint | pb.HistogramDataPoint | pb.SummaryDataPoint


def requests(
    families: Iterable[Metric],
    resource: Mapping[str, str],
    start: int,
    now: int,
    temporality: Temporality = Temporality.CUMULATIVE,
) -> Iterator[bytes]:
    """Yield the bodies that say all of the families, each of `MOST_BYTES` at most.

    start: since when what the totals, or deltas, say is counted; times are Unix nanoseconds.
    """
    base = size = len(_body([], resource)) + 3 * _FRAME
    batch: list[pb.Metric] = []
    for family in families:
        metric, points = _told(family, start, now, temporality)
        head = metric.ByteSize() + 2 * _FRAME
        part: list[Point] = []
        size += head
        for point in points:
            length = point.ByteSize() + _FRAME
            if size + length > MOST_BYTES and (batch or part):
                yield _body([*batch, *_with(metric, part)], resource)
                batch, part, size = [], [], base + head
            part.append(point)
            size += length
        batch += _with(metric, part)
    if batch:
        yield _body(batch, resource)


def points(body: bytes) -> int:
    """Return how many points a body has."""
    found = 0
    for of_resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for metric in of_resource.scope_metrics[0].metrics:
            found += len(getattr(metric, metric.WhichOneof("data")).data_points)
    return found


def rejected(body: bytes) -> tuple[int, str]:
    """Return how many points an accepting answer says it has left out, and its message."""
    try:
        told = ExportMetricsServiceResponse.FromString(body).partial_success
    except Exception:  # of protobuf: DecodeError, whatever implementation it has
        return 0, ""
    return max(0, told.rejected_data_points), shown(told.error_message)


def _body(metrics: list[pb.Metric], resource: Mapping[str, str]) -> bytes:
    scope = InstrumentationScope(name="vibebox", version=__version__)
    message = ExportMetricsServiceRequest(
        resource_metrics=[
            pb.ResourceMetrics(
                resource=Resource(attributes=attributes(resource)),
                scope_metrics=[pb.ScopeMetrics(scope=scope, metrics=metrics)],
            )
        ]
    )
    return bytes(message.SerializeToString())


def _with(metric: pb.Metric, points: list[Point]) -> list[pb.Metric]:
    """Return the metric with these points; nothing where there is none."""
    if not points:
        return []
    told = pb.Metric()
    told.CopyFrom(metric)
    getattr(told, str(told.WhichOneof("data"))).data_points.extend(points)
    return [told]


def _told(
    family: Metric, start: int, now: int, temporality: Temporality
) -> tuple[pb.Metric, list[Point]]:
    """Return the family as a message without points, and its points."""
    metric = pb.Metric(name=family.name, description=family.documentation)
    if family.type == "histogram":
        metric.histogram.aggregation_temporality = temporality.value
        return metric, [_histogram(*one, start, now) for one in _grouped(family, _LE)]
    if family.type == "summary":
        metric.summary.SetInParent()
        return metric, [_summary(*one, start, now) for one in _grouped(family, _QUANTILE)]
    if family.type == "counter":
        # With the suffix that a scrape has: some receivers would add it, others not.
        metric.name += "_total"
        metric.sum.aggregation_temporality = temporality.value
        metric.sum.is_monotonic = True
        return metric, _numbers(family, start, now)
    metric.gauge.SetInParent()
    return metric, _numbers(family, 0, now)


def _numbers(family: Metric, start: int, now: int) -> list[Point]:
    return [
        pb.NumberDataPoint(
            attributes=attributes(sample.labels),
            start_time_unix_nano=start,
            time_unix_nano=now,
            as_double=sample.value,
        )
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]


Grouped = tuple[Labels, list[tuple[float, float]], dict[str, float]]


def _grouped(family: Metric, bound: str) -> Iterator[Grouped]:
    """Yield for each label set the values by bound, in their order, and what else there is."""
    found: dict[Labels, tuple[list[tuple[float, float]], dict[str, float]]] = {}
    for sample in family.samples:
        labels = dict(sample.labels)
        at = labels.pop(bound, None)
        by_bound, others = found.setdefault(tuple(sorted(labels.items())), ([], {}))
        if at is not None:
            by_bound.append((float(at), sample.value))
        else:
            others[_suffix(sample, family)] = sample.value
    for key, (by_bound, others) in found.items():
        yield key, sorted(by_bound), others


def _suffix(sample: Sample, family: Metric) -> str:
    return sample.name.removeprefix(family.name)


def _histogram(
    labels: Labels,
    by_bound: list[tuple[float, float]],
    others: Mapping[str, float],
    start: int,
    now: int,
) -> pb.HistogramDataPoint:
    bounds = [bound for bound, _ in by_bound if not math.isinf(bound)]
    below = 0.0
    counts = []
    for _, total in by_bound:
        counts.append(max(0, round(total - below)))
        below = total
    if len(counts) == len(bounds):
        counts.append(0)
    return pb.HistogramDataPoint(
        attributes=attributes(dict(labels)),
        start_time_unix_nano=start,
        time_unix_nano=now,
        count=sum(counts),
        sum=others.get("_sum", 0.0),
        bucket_counts=counts,
        explicit_bounds=bounds,
    )


def _summary(
    labels: Labels,
    by_quantile: list[tuple[float, float]],
    others: Mapping[str, float],
    start: int,
    now: int,
) -> pb.SummaryDataPoint:
    return pb.SummaryDataPoint(
        attributes=attributes(dict(labels)),
        start_time_unix_nano=start,
        time_unix_nano=now,
        count=round(others.get("_count", 0.0)),
        sum=others.get("_sum", 0.0),
        quantile_values=[
            pb.SummaryDataPoint.ValueAtQuantile(quantile=quantile, value=value)
            for quantile, value in by_quantile
        ],
    )
