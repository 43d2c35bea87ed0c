"""The message of one series (io.prometheus.client.Metric), from its samples.

Names of fields stand beside their numbers, as in client_model's metrics.proto.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from prefork_metrics.directory.native_records import Counts, are_counts
from prefork_metrics.exemplars import Exemplar
from prefork_metrics.outline import Labels
from prefork_metrics.protobuf import wire
from prefork_metrics.protobuf.native import buckets

_LABEL, _GAUGE, _COUNTER, _SUMMARY, _UNTYPED, _HISTOGRAM = 1, 2, 3, 4, 5, 7
_VALUE, _COUNTER_EXEMPLAR, _COUNTER_START = 1, 2, 3
_QUANTILE, _SUMMARY_START = 3, 4
_SAMPLE_COUNT, _SAMPLE_SUM, _BUCKET, _COUNT_FLOAT, _HISTOGRAM_START = 1, 2, 3, 4, 15
_CUMULATIVE, _UPPER_BOUND, _BUCKET_EXEMPLAR, _CUMULATIVE_FLOAT = 1, 2, 3, 4
_EXEMPLAR_VALUE, _EXEMPLAR_TIME = 2, 3


class Part(NamedTuple):
    """One sample of a series. Attributes: role (the end of its name: `_sum`, `_bucket`, …); bound
    (of a bucket, or the quantile of a summary)."""

    role: str
    bound: float
    value: Any
    exemplar: Exemplar | None


def labels(pairs: Labels) -> bytes:
    """Return the labels of a series, or an exemplar: they have the same field in both."""
    return b"".join(
        wire.message(_LABEL, wire.text(1, name) + wire.text(2, value)) for name, value in pairs
    )


def counter(parts: Sequence[Part], start: float, _native: Counts | None) -> bytes:
    (part,) = parts
    content = wire.double(_VALUE, part.value)
    if part.exemplar:
        content += wire.message(_COUNTER_EXEMPLAR, _exemplar(part.exemplar))
    return wire.message(_COUNTER, content + _since(_COUNTER_START, start))


def gauge(parts: Sequence[Part], _start: float, _native: Counts | None) -> bytes:
    return wire.message(_GAUGE, wire.double(_VALUE, parts[0].value))


def untyped(parts: Sequence[Part], _start: float, _native: Counts | None) -> bytes:
    return wire.message(_UNTYPED, wire.double(_VALUE, parts[0].value))


def summary(parts: Sequence[Part], start: float, _native: Counts | None) -> bytes:
    content = _totals(parts)
    for part in parts:
        if not part.role:
            quantile = wire.double(1, part.bound) + wire.double(2, part.value)
            content += wire.message(_QUANTILE, quantile)
    return wire.message(_SUMMARY, content + _since(_SUMMARY_START, start))


def histogram(parts: Sequence[Part], start: float, native: Counts | None) -> bytes:
    """Return a histogram with classic buckets, and native ones where these are whole.

    They were read a moment later: what was observed since is above all bounds but the last, where
    the next scrape finds its place. Fewer are not all (an earlier release counted without), and
    what cannot be counts is of a spoilt file.
    """
    if native is not None:
        total = sum(native)
        fewer = any(part.value > total for part in parts if part.role == "_count")
        if fewer or not are_counts(native):
            native = None
        else:
            parts = [part._replace(value=total) if _is_all(part) else part for part in parts]
    content = _totals(parts)
    for part in parts:
        if part.role == "_bucket":
            bucket = _count(_CUMULATIVE, _CUMULATIVE_FLOAT, part.value)
            bucket += wire.double(_UPPER_BOUND, part.bound)
            if part.exemplar:
                bucket += wire.message(_BUCKET_EXEMPLAR, _exemplar(part.exemplar))
            content += wire.message(_BUCKET, bucket)
    if native is not None:
        content += buckets(native)
    return wire.message(_HISTOGRAM, content + _since(_HISTOGRAM_START, start))


def _is_all(part: Part) -> bool:
    return part.role == "_count" or (part.role == "_bucket" and part.bound == math.inf)


WRITERS: Mapping[str, Callable[[Sequence[Part], float, Counts | None], bytes]] = {
    "counter": counter,
    "summary": summary,
    "histogram": histogram,
    "gaugehistogram": histogram,
    "gauge": gauge,
    "info": gauge,
    "stateset": gauge,
    "unknown": untyped,
}


def _totals(parts: Sequence[Part]) -> bytes:
    content = b""
    for part in parts:
        if part.role in ("_count", "_gcount"):
            content += _count(_SAMPLE_COUNT, _COUNT_FLOAT, part.value)
        elif part.role in ("_sum", "_gsum"):
            content += wire.double(_SAMPLE_SUM, part.value)
    return content


def _count(field: int, field_of_fraction: int, value: float) -> bytes:
    if value >= 0 and value.is_integer():
        return wire.integer(field, int(value))
    return wire.double(field_of_fraction, value)


def _since(field: int, start: float) -> bytes:
    return wire.timestamp(field, start) if start else b""


def _exemplar(exemplar: Exemplar) -> bytes:
    content = labels(exemplar.labels) + wire.double(_EXEMPLAR_VALUE, exemplar.value)
    return content + wire.timestamp(_EXEMPLAR_TIME, exemplar.milliseconds / 1000)
