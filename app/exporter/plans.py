"""What a push says: all totals again (cumulative), or what was added since the last (delta).

Deltas must add up to the total. So what the receiver has acknowledged is kept in a file, and a
batch is written there before it is sent: whoever comes after a death sends the very same bytes
again, with the same start and end. A receiver that knows a series by its end time counts it once;
for any other, what nobody knows the answer to is counted as in doubt.
"""

import base64
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from prometheus_client import Metric
from prometheus_client.samples import Sample

from app.exporter.metric_messages import Temporality, points, requests
from app.exporter.start_time import StartTime, Totals, key, read_time, read_totals, replace

_PARTS = ("le", "quantile")
_TOTALS = ("counter", "histogram", "summary")
_log = logging.getLogger(__name__)


class Plan(Protocol):
    """Says what is to be sent now, in the order in which it is.

    `adds_up`: what is sent twice is counted twice, where nobody looks at its end time.
    """

    adds_up: bool

    @property
    def taken(self) -> Sequence[bytes]:
        """What was taken up last, as far as it is not through."""

    def pending(self) -> Sequence[bytes]:
        """Return what was taken up and is not through."""

    def take(self, families: list[Metric], now: int) -> None:
        """Take up what is to be said of these families, at this time in Unix nanoseconds."""

    def through(self, body: bytes) -> None:
        """Note that a body needs no more sending."""


class Cumulative:
    """All totals, each time; nothing has to be remembered but since when they are counted."""

    adds_up = False

    def __init__(self, resource: Mapping[str, str], start: StartTime) -> None:
        self._resource = resource
        self._start = start
        self._bodies: list[bytes] = []

    def pending(self) -> Sequence[bytes]:
        """See `Plan.pending`; what was not taken is said again by the next, and so forgotten."""
        return ()

    def take(self, families: list[Metric], now: int) -> None:
        """See `Plan.take`."""
        start = self._start.of(families, now)
        self._bodies = list(requests(families, self._resource, start, now, Temporality.CUMULATIVE))

    def through(self, body: bytes) -> None:
        """See `Plan.through`."""

    @property
    def taken(self) -> Sequence[bytes]:
        return self._bodies


class Delta:
    """What was added since the last acknowledgement, kept in a file."""

    adds_up = True

    def __init__(self, path: Path, resource: Mapping[str, str], start: StartTime) -> None:
        self._path = path
        self._resource = resource
        self._start = start
        self._acknowledged: Totals = {}
        self._end = 0
        self._intent: list[bytes] = []
        self._intended: Totals = {}
        self._intended_end = 0
        self._read()

    def pending(self) -> Sequence[bytes]:
        """See `Plan.pending`."""
        return tuple(self._intent)

    taken = property(pending)

    def take(self, families: list[Metric], now: int) -> None:
        """See `Plan.take`. Raises: OSError where it cannot be written down: nothing is sent."""
        begun = self._start.of(families, now)
        if begun > self._end:  # all totals began anew
            self._acknowledged = {}
        totals: Totals = {}
        changed = [self._changed(family, totals) for family in families]
        self._intended = {**self._acknowledged, **totals}
        self._intended_end = now
        start = min(max(self._end, begun), now)  # the clock may have been ahead
        self._intent = list(requests(changed, self._resource, start, now, Temporality.DELTA))
        try:
            self._write()
        except OSError:
            self._intent = []
            raise

    def _changed(self, family: Metric, totals: Totals) -> Metric:
        """Return the family with what was added, and note its totals."""
        if family.type not in _TOTALS:
            return family
        changed = Metric(family.name, family.documentation, family.type)
        # Less than before: this series, with all its parts, was removed and began anew.
        anew = {
            _series(sample)
            for sample in family.samples
            if sample.value < self._acknowledged.get(key(sample), 0.0)
        }
        for sample in family.samples:
            name = key(sample)
            totals[name] = sample.value
            before = 0.0 if _series(sample) in anew else self._acknowledged.get(name, 0.0)
            changed.samples.append(sample._replace(value=sample.value - before))
        return changed

    def through(self, body: bytes) -> None:
        """See `Plan.through`."""
        self._intent.remove(body)
        if not self._intent:
            self._acknowledged, self._end = self._intended, self._intended_end
        self._write()

    def _read(self) -> None:
        try:
            found = json.loads(self._path.read_text())
            acknowledged, intended = map(read_totals, (found["acknowledged"], found["intended"]))
            ends = read_time(found["end"]), read_time(found["intended_end"])
            intent = [base64.b64decode(body) for body in found["intent"]]
            for body in intent:
                points(body)
        except FileNotFoundError:
            return
        except Exception as error:  # whatever is wrong with it: it must not end who reads it
            why = f"{type(error).__name__}: {error}"
            _log.error("pushed totals are forgotten", extra={"why": why})
            return
        self._acknowledged, self._intended, self._intent = acknowledged, intended, intent
        self._end, self._intended_end = ends

    def _write(self) -> None:
        state: dict[str, Any] = {
            "acknowledged": self._acknowledged,
            "end": self._end,
            "intended": self._intended,
            "intended_end": self._intended_end,
            "intent": [base64.b64encode(body).decode() for body in self._intent],
        }
        replace(self._path, json.dumps(state))


def _series(sample: Sample) -> tuple[tuple[str, str], ...]:
    """Return what samples of one histogram have in common."""
    return tuple(sorted(item for item in sample.labels.items() if item[0] not in _PARTS))
