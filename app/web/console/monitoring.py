"""What the health strip shows: figures of Prometheus, and the alerts that fire.

The alerts are those that Alertmanager has told this service, where it may; else Prometheus is asked
for its own. What is missing is missing for a reason, which is shown.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import requests

from app.core.errors import VibeBoxError
from app.core.single_flight import DeadlineExceededError, SingleFlight
from app.metrics.promql import FIRING, LATENCY, REQUEST_RATE

DEADLINE = 2.0
"""Seconds that all three questions may take together."""

QUERIES = {"request_rate": REQUEST_RATE, "latency_seconds": LATENCY, "alerts": FIRING}
Received = Callable[[], Sequence[dict[str, Any]]]
"""Returns the alerts that were received and fire, or raises VibeBoxError."""
_UNSET = "VIBEBOX_PROMETHEUS_URL is not set."
_NEITHER = "Neither VIBEBOX_ALERTS_TOKEN nor VIBEBOX_PROMETHEUS_URL is set."
_SILENT = "Prometheus at VIBEBOX_PROMETHEUS_URL does not answer."
_STRANGE = "What answers at VIBEBOX_PROMETHEUS_URL does not speak as Prometheus does."


class Monitoring:
    """Asks the Prometheus at `url`; the address may hold a password and is never shown.

    With `received` the alerts are those, and Prometheus is not asked for any.
    """

    def __init__(
        self,
        url: str | None,
        received: Received | None = None,
        deadline: float = DEADLINE,
        token: str | None = None,
    ) -> None:
        self._received = received
        self._url = f"{url.rstrip('/')}/api/v1/query" if url else None
        self._deadline = deadline
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
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
        if self._url is None:
            return _readings(reason=_UNSET) | {"alerts_reason": _NEITHER}
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
            session.headers.update(self._headers)

            def ask(name: str) -> list[dict[str, Any]]:
                return self._ask(session, QUERIES[name])

            return _readings(
                request_rate=_number(ask("request_rate")),
                latency_seconds=_number(ask("latency_seconds")),
                alerts=[] if self._received else _alerts(ask),
            )

    def _ask(self, session: requests.Session, query: str) -> list[dict[str, Any]]:
        response = session.get(
            str(self._url), params={"query": query}, timeout=self._deadline, allow_redirects=False
        )
        if response.status_code != 200:
            raise ValueError("no answer to a query")
        found: list[dict[str, Any]] = response.json()["data"]["result"]
        return found


def _alerts(ask: Callable[[str], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the firing alerts by name, each once; a series has no annotations."""
    labels = [series["metric"] for series in ask("alerts")]
    found = {(str(one["alertname"]), str(one.get("severity", ""))) for one in labels}
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
