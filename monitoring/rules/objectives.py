"""The objectives of the service, and the windows over which a burning budget is noticed.

A burn rate of 1 spends the whole budget in exactly the period. The factors are those of the Site
Reliability Workbook, chapter 5: 2 % of the budget in 1 h, 5 % in 6 h, 10 % in 1 d or in 3 d.
"""

from dataclasses import dataclass

from monitoring.rules.expressions import NO_PROBES, NO_WAITING

PERIOD = "30d"


@dataclass(frozen=True)
class Objective:
    """A share of all requests, or rounds, that has to be good, over PERIOD."""

    name: str
    title: str
    good: float
    promise: str
    total: tuple[str, ...]
    """Metric and matchers of all requests."""

    failed: tuple[str, ...] | None = None
    """Metric and matchers of the bad ones, or else: """

    passed: tuple[str, ...] | None = None
    """of the good ones."""

    burns: bool = True
    """Whether alerts tell how fast its budget is used up."""

    @property
    def budget(self) -> float:
        """The share that may be bad. Rounded: 1 - 0.999 is 0.0010000000000000009."""
        return round(1 - self.good, 9)


@dataclass(frozen=True)
class Window:
    """A burn rate that, seen over both windows, has the severity; the short one ends the alert."""

    severity: str
    factor: float
    long: str
    short: str


_DURATION = "vibebox_http_request_duration_seconds"

OBJECTIVES = (
    Objective(
        "availability",
        "Availability",
        0.999,
        "99.9 % of requests answered without a 5xx",
        ("vibebox_http_requests_total", NO_PROBES),
        failed=("vibebox_http_requests_total", NO_PROBES, 'status_code=~"5.."'),
    ),
    Objective(
        "latency",
        "Latency",
        0.99,
        "99 % of requests that wait for no container answered within 0.5 s",
        (f"{_DURATION}_count", NO_WAITING),
        passed=(f"{_DURATION}_bucket", NO_WAITING, 'le="0.5"'),
    ),
    Objective(
        "probe",
        "Synthetic user",
        0.99,
        "99 % of the rounds of the synthetic user come through all steps",
        ("vibebox_probe_rounds_total",),
        failed=("vibebox_probe_rounds_total", 'outcome="failure"'),
        # A dozen rounds an hour: SyntheticUserFailing has told before a budget could.
        burns=False,
    ),
)

WINDOWS = (
    Window("critical", 14.4, "1h", "5m"),
    Window("critical", 6, "6h", "30m"),
    Window("warning", 3, "1d", "2h"),
    Window("warning", 1, "3d", "6h"),
)

RECORDED = ("1d", "3d", PERIOD)
"""Windows that are computed from recorded rates. Over them Prometheus would read every sample of
every route each time; up to 6 h it does, and needs no history of the recorded ones."""

STEPS = {
    "30m": ("30s", 60),
    "1h": ("1m", 60),
    "2h": ("2m", 60),
    "6h": ("5m", 72),
    "1d": ("15m", 96),
    "3d": ("1h", 72),
    PERIOD: ("1h", 720),
}
"""How much of a window Prometheus has seen is looked up in so many steps of this length."""
