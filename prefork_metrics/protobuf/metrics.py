"""Families as the client library's collectors give them, as messages."""

from collections.abc import Iterable
from typing import Any

from prometheus_client.core import Metric

from prefork_metrics.exemplars import Exemplar
from prefork_metrics.outline import Labels, Outline
from prefork_metrics.protobuf.family import FamilyMessage

_CREATED = "_created"


def encoded(metrics: Iterable[Metric], escaping: str) -> bytes:
    """Return a message for each family, one behind the other."""
    return b"".join(_encoded(metric, escaping) for metric in metrics)


def _encoded(metric: Metric, escaping: str) -> bytes:
    created = metric.name + _CREATED
    samples = [sample for sample in metric.samples if sample.name != created]
    found = tuple((sample.name, tuple(sample.labels.items())) for sample in samples)
    begun = {
        frozenset(sample.labels.items()): float(sample.value)
        for sample in metric.samples
        if sample.name == created
    }
    message = FamilyMessage(
        Outline(metric.name, metric.type, metric.documentation, found),
        [begun.get(_series(labels), 0.0) for _, labels in found],
        escaping,
        {
            number: float(sample.timestamp)
            for number, sample in enumerate(samples)
            if sample.timestamp is not None
        },
    )
    exemplars = {
        number: _exemplar(sample.exemplar)
        for number, sample in enumerate(samples)
        if sample.exemplar
    }
    return message.encoded([float(sample.value) for sample in samples], exemplars)


def _series(labels: Labels) -> frozenset[tuple[str, str]]:
    return frozenset(label for label in labels if label[0] not in ("le", "quantile"))


def _exemplar(found: Any) -> Exemplar:
    return Exemplar(tuple(found.labels.items()), found.value, float(found.timestamp or 0))
