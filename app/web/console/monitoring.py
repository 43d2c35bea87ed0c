"""What the health strip shows of Prometheus: figures, or the reason for having none."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from app.core.errors import StoreUnavailableError
from app.metrics.promql import LATENCY, REQUEST_RATE
from app.stores.prometheus import SETTING, PrometheusStore, Series
from app.stores.shared import SECONDS, SharedQuestion

QUERIES = {"request_rate": REQUEST_RATE, "latency_seconds": LATENCY}
_UNSET = f"{SETTING} is not set."


class Monitoring:
    """Asks `prometheus`; both questions together may take `seconds`."""

    def __init__(self, prometheus: PrometheusStore | None, seconds: float = SECONDS) -> None:
        self._prometheus = prometheus
        # However many pages ask, one round of questions is under way, in one thread.
        self._question = SharedQuestion(SETTING, self._ask_all, seconds)

    def read(self) -> dict[str, Any]:
        """Return the readings, null where Prometheus has none, or the reason for having none."""
        return self.begin()()

    def begin(self) -> Callable[[], dict[str, Any]]:
        """Ask for the readings, and return what waits for them."""
        if self._prometheus is None:
            return partial(_readings, reason=_UNSET)
        return partial(_answered, self._question.begin())

    def close(self) -> None:
        """Let the thread end."""
        self._question.close()

    def _ask_all(self) -> dict[str, Any]:
        return _readings(*(_number(self._ask(name)) for name in QUERIES))

    def _ask(self, name: str) -> list[Series]:
        assert self._prometheus is not None
        return self._prometheus.query(QUERIES[name])


def _answered(answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return answer()
    except StoreUnavailableError as error:
        return _readings(reason=error.detail)


def _number(result: Sequence[Series]) -> float | None:
    """Return the one value of a result; none where there is none, or no number."""
    return result[0].value if result and math.isfinite(result[0].value) else None


def _readings(
    request_rate: float | None = None,
    latency_seconds: float | None = None,
    *,
    reason: str | None = None,
) -> dict[str, Any]:
    return {"request_rate": request_rate, "latency_seconds": latency_seconds, "reason": reason}
