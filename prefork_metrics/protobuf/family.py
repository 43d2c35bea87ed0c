"""The message of one family (io.prometheus.client.MetricFamily), behind its length.

What of it does not change is written once. A series says the same again while its samples do.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from prometheus_client.openmetrics.exposition import (
    ALLOWUTF8,
    escape_label_name,
    escape_metric_name,
)

from prefork_metrics.directory.native_records import Counts
from prefork_metrics.exemplars import Exemplar
from prefork_metrics.outline import Labels, Outline
from prefork_metrics.protobuf import wire
from prefork_metrics.protobuf.series import WRITERS, Part, labels

_NAME, _HELP, _TYPE, _METRIC, _TIMESTAMP_MS = 1, 2, 3, 4, 6
_TYPES = {"counter": 0, "gauge": 1, "summary": 2, "unknown": 3, "histogram": 4, "gaugehistogram": 5}
_SUFFIXES = {"counter": "_total", "info": "_info"}
"""What of a sample's name the family's has here, and the client library's has not."""
_BOUNDS = {"histogram": "le", "gaugehistogram": "le", "summary": "quantile"}
NO_EXEMPLARS: Mapping[int, Exemplar] = {}
NO_NATIVES: Mapping[tuple[str, Labels], Counts] = {}
NO_TIMES: Mapping[int, float] = {}


class FamilyMessage:
    """A family, as of its outline and the starts of its samples."""

    def __init__(
        self,
        outline: Outline,
        starts: Sequence[float],
        escaping: str,
        times: Mapping[int, float] = NO_TIMES,
    ) -> None:
        """starts: of each sample, seconds since 1970, 0 where none is known. escaping: as was
        negotiated. times: by the number of a sample, where it is not that of the scrape."""
        self.outline, self.starts = outline, starts
        kind = outline.kind if outline.kind in WRITERS else "unknown"
        name = outline.name + _SUFFIXES.get(kind, "")
        self._header = (
            wire.text(_NAME, _escaped(name, escaping, escape_metric_name))
            + wire.text(_HELP, outline.help)
            + wire.integer(_TYPE, _TYPES.get(kind, _TYPES["gauge"]))
        )
        self._series = [
            _Series(kind, numbers, outline, starts, escaping, times.get(numbers[0]))
            for numbers in _grouped(outline, kind)
        ]

    def encoded(
        self,
        values: Sequence[Any],
        exemplars: Mapping[int, Exemplar] = NO_EXEMPLARS,
        natives: Mapping[tuple[str, Labels], Counts] = NO_NATIVES,
    ) -> bytes:
        """Return the message; nothing where there is no sample.

        values: of each sample, None where it is left out; exemplars: by the sample's number;
        natives: the counts of native buckets, by family and labels.
        """
        name = self.outline.name
        found = b"".join(
            series.encoded(values, exemplars, natives.get((name, series.labels)))
            for series in self._series
        )
        content = self._header + found
        return wire.varint(len(content)) + content if found else b""


class _Series:
    """One series: the numbers of its samples, and what it said last. Attributes: labels."""

    def __init__(
        self,
        kind: str,
        numbers: Sequence[int],
        outline: Outline,
        starts: Sequence[float],
        escaping: str,
        at: float | None,
    ) -> None:
        self._stamp = b"" if at is None else wire.integer(_TIMESTAMP_MS, round(at * 1000))
        self._write = WRITERS[kind]
        self._numbers = numbers
        self._begin, self._end = numbers[0], numbers[-1] + 1
        known = [starts[number] for number in numbers]
        self._start = min(known) if all(known) else 0.0
        bound = _BOUNDS.get(kind)
        self._roles = [_role(outline, number, bound) for number in numbers]
        self.labels = _of_series(outline.samples[numbers[0]][1], bound)
        self._labels = labels(
            tuple((_escaped(name, escaping, escape_label_name), text) for name, text in self.labels)
        )
        self._said: tuple[Any, ...] = ()
        self._message = b""

    def encoded(
        self, values: Sequence[Any], exemplars: Mapping[int, Exemplar], native: Counts | None
    ) -> bytes:
        of_series = values[self._begin : self._end]
        if None in of_series:
            return b""
        found = [exemplars.get(number) for number in self._numbers]
        # By its text: 0.0 == -0.0, and NaN is not itself.
        said = (repr(of_series), found, native)
        if said != self._said:
            parts = [
                Part(*role, value, exemplar)
                for role, value, exemplar in zip(self._roles, of_series, found, strict=True)
            ]
            content = self._labels + self._write(parts, self._start, native) + self._stamp
            self._message, self._said = wire.message(_METRIC, content), said
        return self._message


def _grouped(outline: Outline, kind: str) -> Iterator[Sequence[int]]:
    """Yield the numbers of the samples of each series, which stand beside one another."""
    bound = _BOUNDS.get(kind)
    if bound is None:
        yield from ((number,) for number in range(len(outline.samples)))
        return
    of_series = (
        (_of_series(found, bound), number) for number, (_, found) in enumerate(outline.samples)
    )
    for _, group in groupby(of_series, key=itemgetter(0)):
        yield [number for _, number in group]


def _role(outline: Outline, number: int, bound: str | None) -> tuple[str, float]:
    name, found = outline.samples[number]
    return name.removeprefix(outline.name), float(dict(found).get(bound or "", "nan"))


def _of_series(found: Labels, bound: str | None) -> Labels:
    return tuple(label for label in found if label[0] != bound)


def _escaped(name: str, escaping: str, escape: Any) -> str:
    # Text has such names in quotes; here nothing has to tell where they end.
    found: str = name if escaping == ALLOWUTF8 else escape(name, escaping)
    return found
