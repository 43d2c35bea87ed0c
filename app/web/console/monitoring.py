"""What the health strip shows: figures of Prometheus, and the alerts that fire.

The alerts are those that Alertmanager has told this service, where it may; else Prometheus is asked
for its own. What is missing is missing for a reason, which is shown.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from app.core import deadline
from app.core.errors import StoreUnavailableError, VibeBoxError
from app.core.single_flight import DeadlineExceededError, SingleFlight
from app.metrics.promql import FIRING, LATENCY, REQUEST_RATE
from app.stores.prometheus import SETTING, PrometheusStore, Series

DEADLINE = 2.0
"""Seconds that all three questions may take together."""

QUERIES = {"request_rate": REQUEST_RATE, "latency_seconds": LATENCY, "alerts": FIRING}
Received = Callable[[], Sequence[dict[str, Any]]]
"""Returns the alerts that were received and fire, or raises VibeBoxError."""
_UNSET = f"{SETTING} is not set."
_NEITHER = f"Neither VIBEBOX_ALERTS_TOKEN nor {SETTING} is set."
_SILENT = f"What {SETTING} names did not answer in time."


class Monitoring:
    """Asks `prometheus`; with `received` the alerts are those, and it is not asked for any."""

    def __init__(
        self,
        prometheus: PrometheusStore | None,
        received: Received | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        self._prometheus = prometheus
        self._received = received
        self._deadline = deadline
        # However many pages ask, one round of questions is under way, in one thread.
        self._flight = SingleFlight("monitoring", self._ask_all)

    def read(self) -> dict[str, Any]:
        """Return the readings, null where Prometheus has none, or the reasons for having none."""
        figures = self._figures()
        if self._received is None:
            return figures
        try:
            return figures | {"alerts": list(self._received()), "alerts_reason": None}
        except VibeBoxError as error:
            return figures | {"alerts": [], "alerts_reason": error.detail}

    def _figures(self) -> dict[str, Any]:
        if self._prometheus is None:
            return _readings(reason=_UNSET) | {"alerts_reason": _NEITHER}
        try:
            return self._flight.begin().result(self._deadline)
        except StoreUnavailableError as error:
            return _readings(reason=error.detail)
        except DeadlineExceededError:
            return _readings(reason=_SILENT)

    def close(self) -> None:
        """Let the thread end."""
        self._flight.close()

    def _ask_all(self) -> dict[str, Any]:
        # A store leaves half of what is left to the next question; a page waits for no more of it.
        with deadline.within(2 * self._deadline):
            return _readings(
                request_rate=_number(self._ask("request_rate")),
                latency_seconds=_number(self._ask("latency_seconds")),
                alerts=[] if self._received else _alerts(self._ask("alerts")),
            )

    def _ask(self, name: str) -> list[Series]:
        assert self._prometheus is not None
        return self._prometheus.query(QUERIES[name])


def _alerts(series: Sequence[Series]) -> list[dict[str, Any]]:
    """Return the firing alerts by name, each once; a series has no annotations."""
    labels = [one.labels for one in series]
    found = {(one.get("alertname", ""), one.get("severity", "")) for one in labels}
    return [shown_alert(name, severity) for name, severity in sorted(found)]


def shown_alert(
    name: str,
    severity: str,
    summary: str = "",
    link: str | None = None,
    reference: str | None = None,
) -> dict[str, Any]:
    """Return an alert as the strip shows it; `link` leads to its runbook, and by `reference`, its
    name without one, it is explained."""
    shown = {"name": name, "severity": severity, "summary": summary, "link": link}
    return {**shown, "reference": reference or name}


def _number(result: Sequence[Series]) -> float | None:
    """Return the one value of a result; none where there is none, or no number."""
    return result[0].value if result and math.isfinite(result[0].value) else None


def _readings(
    *,
    request_rate: float | None = None,
    latency_seconds: float | None = None,
    alerts: list[dict[str, Any]] | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    return {
        "request_rate": request_rate,
        "latency_seconds": latency_seconds,
        "alerts": alerts or [],
        "alerts_reason": reason,
        "reason": reason,
    }
