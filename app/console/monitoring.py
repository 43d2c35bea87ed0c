"""What Prometheus knows of the service, for the health strip: three questions, with a deadline."""

import math
from collections.abc import Callable
from typing import Any

import requests

from app.deadline import DeadlineExceededError, SingleFlight

DEADLINE = 2.0
"""Seconds that all three questions may take together."""

QUERIES = {
    "request_rate": "sum(rate(vibebox_http_requests_total[5m]))",
    "latency_seconds": "histogram_quantile(0.95, "
    "sum by (le) (rate(vibebox_http_request_duration_seconds_bucket[5m])))",
    "alerts": 'ALERTS{alertstate="firing"}',
}
_UNSET = "VIBEBOX_PROMETHEUS_URL is not set."
_SILENT = "Prometheus at VIBEBOX_PROMETHEUS_URL does not answer."
_STRANGE = "What answers at VIBEBOX_PROMETHEUS_URL does not speak as Prometheus does."


class Monitoring:
    """Asks the Prometheus at `url`; the address may hold a password and is never shown."""

    def __init__(self, url: str | None, deadline: float = DEADLINE) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/query" if url else None
        self._deadline = deadline
        # However many pages ask, one round of questions is under way, in one thread.
        self._flight = SingleFlight("monitoring", self._ask_all)

    def read(self) -> dict[str, Any]:
        """Return the readings, null where Prometheus has none, or the reason for having none."""
        if self._url is None:
            return _readings(reason=_UNSET)
        try:
            return self._flight.begin().result(self._deadline)
        # First: what is no JSON is an error of both kinds.
        except (ValueError, KeyError, TypeError, IndexError):
            return _readings(reason=_STRANGE)
        except (DeadlineExceededError, requests.RequestException):
            return _readings(reason=_SILENT)

    def close(self) -> None:
        """Let the thread end."""
        self._flight.close()

    def _ask_all(self) -> dict[str, Any]:
        with requests.Session() as session:
            session.trust_env = False  # no proxy of the environment, and no credentials of a file

            def ask(name: str) -> list[dict[str, Any]]:
                return self._ask(session, QUERIES[name])

            return _readings(
                request_rate=_number(ask("request_rate")),
                latency_seconds=_number(ask("latency_seconds")),
                alerts=_alerts(ask),
            )

    def _ask(self, session: requests.Session, query: str) -> list[dict[str, Any]]:
        response = session.get(
            str(self._url), params={"query": query}, timeout=self._deadline, allow_redirects=False
        )
        if response.status_code != 200:
            raise ValueError("no answer to a query")
        found: list[dict[str, Any]] = response.json()["data"]["result"]
        return found


def _alerts(ask: Callable[[str], list[dict[str, Any]]]) -> list[dict[str, str]]:
    """Return the firing alerts by name, each once."""
    labels = [series["metric"] for series in ask("alerts")]
    found = {(str(one["alertname"]), str(one.get("severity", ""))) for one in labels}
    return [{"name": name, "severity": severity} for name, severity in sorted(found)]


def _number(result: list[dict[str, Any]]) -> float | None:
    """Return the one value of a result; none where there is none, or no number."""
    if not result:
        return None
    value = float(result[0]["value"][1])
    return value if math.isfinite(value) else None


def _readings(
    *,
    request_rate: float | None = None,
    latency_seconds: float | None = None,
    alerts: list[dict[str, str]] | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    return {
        "request_rate": request_rate,
        "latency_seconds": latency_seconds,
        "alerts": alerts or [],
        "reason": reason,
    }
