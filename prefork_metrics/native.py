"""Histograms that are counted twice: in buckets that were chosen, and in those of a fixed schema.

The latter (see `directory.native_records`) are shown in protocol buffers only, beside the former.
"""

from bisect import bisect_left
from typing import Any

from prometheus_client import Histogram

from prefork_metrics import values
from prefork_metrics.directory.native_records import BOUNDS, KIND
from prefork_metrics.values import Value


class NativeHistogram(Histogram):
    """The client library's histogram, with native buckets too.

    Numbers that are no more than the least bound, those below 0 among them, are counted as 0.
    """

    def _metric_init(self) -> None:
        super()._metric_init()
        name: str = self._name
        # The help stands with the classic buckets: these are never shown without.
        self._native = Value(KIND, name, name, self._labelnames, self._labelvalues, "")

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Observe the amount."""
        self._raise_if_not_observable()  # type: ignore[no-untyped-call]
        # First: a scrape reads these last, and must never find fewer than in the classic buckets.
        if amount == amount:
            native = self._native
            with values.store.lock:
                native.file.doubles[native.index + bisect_left(BOUNDS, amount)] += 1.0
        super().observe(amount, exemplar)


def of(histogram: Any) -> Value:
    """Return the value with the native buckets of a child."""
    found: Value = histogram._native
    return found
