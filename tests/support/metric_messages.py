"""Reads a scrape in protocol buffers, by Google's own runtime and client_model's definition."""

from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ACCEPT = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    "escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2"
)
_FIELD = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "io.prometheus.client"
# Of each message its fields: number, name, type (a name with a capital is a message), and * where
# there may be many.
_MESSAGES = {
    "Timestamp": "1 seconds int64, 2 nanos int32",
    "LabelPair": "1 name string, 2 value string",
    "Gauge": "1 value double",
    "Untyped": "1 value double",
    "Exemplar": "1 label *LabelPair, 2 value double, 3 timestamp Timestamp",
    "Counter": "1 value double, 2 exemplar Exemplar, 3 created_timestamp Timestamp",
    "Quantile": "1 quantile double, 2 value double",
    "Summary": "1 sample_count uint64, 2 sample_sum double, 3 quantile *Quantile, "
    "4 created_timestamp Timestamp",
    "Bucket": "1 cumulative_count uint64, 2 upper_bound double, 3 exemplar Exemplar, "
    "4 cumulative_count_float double",
    "BucketSpan": "1 offset sint32, 2 length uint32",
    "Histogram": "1 sample_count uint64, 2 sample_sum double, 3 bucket *Bucket, "
    "4 sample_count_float double, 5 schema sint32, 6 zero_threshold double, 7 zero_count uint64, "
    "12 positive_span *BucketSpan, 13 positive_delta *sint64, 15 created_timestamp Timestamp",
    "Metric": "1 label *LabelPair, 2 gauge Gauge, 3 counter Counter, 4 summary Summary, "
    "5 untyped Untyped, 6 timestamp_ms int64, 7 histogram Histogram",
    "MetricFamily": "1 name string, 2 help string, 3 type int32, 4 metric *Metric, 5 unit string",
}


def _definition() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package=_PACKAGE)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for described in fields.split(", "):
            number, field, kind = described.split()
            many, kind = kind.startswith("*"), kind.removeprefix("*")
            one = message.field.add(name=field, number=int(number))
            one.label = _FIELD.LABEL_REPEATED if many else _FIELD.LABEL_OPTIONAL
            if kind[0].isupper():
                one.type, one.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                one.type = getattr(_FIELD, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.MetricFamily"))


_Family = _definition()


def families(body: bytes) -> Iterator[Any]:
    """Yield the families of a scrape; each has to be one whole, and nothing left behind."""
    position = 0
    while position < len(body):
        length = shift = 0
        while True:
            byte = body[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        family = _Family()
        assert family.MergeFromString(body[position : position + length]) == length
        assert not family.FindInitializationErrors()
        position += length
        yield family


def values(body: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return each sample as the text of the same scrape has it, by name and labels."""
    found = {}
    for family in families(body):
        for metric in family.metric:
            labels = {pair.name: pair.value for pair in metric.label}
            for suffix, more, value in _samples(metric):
                key = family.name + suffix, frozenset({**labels, **more}.items())
                assert key not in found
                found[key] = value
    return found


def _samples(metric: Any) -> Iterator[tuple[str, dict[str, str], float]]:
    for kind in ("gauge", "counter", "untyped"):
        if metric.HasField(kind):
            yield "", {}, getattr(metric, kind).value
    for kind in ("summary", "histogram"):
        if metric.HasField(kind):
            found = getattr(metric, kind)
            yield "_count", {}, float(found.sample_count)
            yield "_sum", {}, found.sample_sum
    for bucket in metric.histogram.bucket:
        yield "_bucket", {"le": _bound(bucket.upper_bound)}, float(bucket.cumulative_count)
    for quantile in metric.summary.quantile:
        yield "", {"quantile": str(quantile.quantile)}, quantile.value


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else repr(bound)


def start(metric: Any) -> float:
    """Return when a series began, 0 where it does not tell."""
    for kind in ("counter", "summary", "histogram"):
        if metric.HasField(kind):
            begun = getattr(metric, kind).created_timestamp
            return float(begun.seconds) + float(begun.nanos) / 1e9
    return 0.0
