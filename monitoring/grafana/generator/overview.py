"""Dashboard "VibeBox - Overview": is it well, and if not, where to look."""

import re
from collections.abc import Iterator

from app.metrics.catalogue import AUTHENTICATION_METHODS
from monitoring.grafana.generator.golden import FAILING, golden_signals, percentiles
from monitoring.grafana.generator.leads import FAILED_REQUESTS, of_route
from monitoring.grafana.generator.levels import watched
from monitoring.grafana.generator.links import RUNBOOK
from monitoring.grafana.generator.palette import CPU, MEMORY, NOTICE, OK, SEVERITIES, TINTS
from monitoring.grafana.generator.panels import (
    BLUE,
    NONE,
    UNKNOWN,
    Board,
    Panel,
    Query,
    Row,
    bars,
    events,
    graph,
    shares,
    stat,
    steps,
    timeline,
)
from monitoring.grafana.generator.promql import (
    FAILED,
    NO_PROBES,
    RANGE,
    REQUESTS,
    USERS,
    all_in_bars,
    in_bars,
    increase,
    largest,
    rate,
    select,
    select_alerts,
    total,
    while_up,
)
from monitoring.grafana.generator.signals import label
from monitoring.grafana.generator.states import SEVERITY, UP_OR_DOWN
from monitoring.rules import thresholds as t
from monitoring.rules.sources import all_alerts

_ALL = total(rate(REQUESTS, USERS))
_FAILED = total(rate(REQUESTS, USERS, FAILED))
_STARTED = select("vibebox_process_start_time_seconds", 'worker="master"')
_CLASSES = f'label_replace({rate(REQUESTS)}, "class", "${{1}}xx", "status_code", "(.)..")'
_PROCESS = "instance, role"
_CPU = total(rate("vibebox_process_cpu_seconds_total"), _PROCESS)
_CORES = largest(select("vibebox_cpu_limit_cores"), _PROCESS)
_MEMORY = largest(select("vibebox_memory_usage_bytes"), _PROCESS)
_ALLOWED = largest(select("vibebox_memory_limit_bytes"), _PROCESS)
# Those who share a limit tell the same: of an instance the fuller one is shown.
_FULLEST = largest(f"{_MEMORY} / {_ALLOWED}", "instance")

_FIRING = select_alerts('alertstate="firing"')
# None is 0 only while Prometheus reads the service.
_NONE = while_up(
    f'label_replace(vector(0), "severity", "none", "", "") unless on () count({_FIRING})'
)
_ALERT = "severity, alertname, of, component, instance"
_BY = re.compile(r"\bby \(([^)]*)\)")


def _telling_apart() -> list[str]:
    """Return the labels that tell alerts of a name apart, beside those that have columns.

    They are those by which the expressions of the rules aggregate.
    """
    found = {
        label.strip()
        for alert in all_alerts()
        for labels in _BY.findall(alert.expression)
        for label in labels.split(",")
    }
    return sorted(found - {"job", "instance", "le"})


def _told_apart(alerts: str) -> str:
    """Return alerts with what each of a name is of, a kind of call or a loop, in one label."""
    labels = ", ".join(f'"{label}"' for label in _telling_apart())
    return f'label_join({alerts}, "of", "", {labels})'


_SINCE = f"max by ({_ALERT}) (time() - {_told_apart(select_alerts(name='ALERTS_FOR_STATE'))})"


def _by_rank(expression: str) -> str:
    """Return alerts by the rank of their severity: by their names, info is before warning."""
    for rank, shown in SEVERITY.items():
        found = f'"severity", "{rank}", "severity", "{shown["text"]}"'
        expression = f"label_replace({expression}, {found})"
    return expression


def _by_severity() -> Iterator[Query]:
    """Yield how many alerts of each severity fire, where any do: the worst first."""
    for severity in reversed(SEVERITIES):
        firing = select_alerts('alertstate="firing"', f'severity="{severity}"')
        yield Query(f"count by (severity) ({firing})", "{{severity}}")


_WELL = Row(
    "Readiness and alerts",
    (
        stat(
            "Readiness checks",
            16,
            f"min by (check) ({select('vibebox_health_check_up')})",
            "{{check}}",
            "What the checks of every chosen instance found last: database and Docker have to be "
            "well for readiness, an agent has to lead for pulls and true records.",
            "none",
            thresholds=steps("critical", ok=1),
            mappings=UP_OR_DOWN,
            empty=UNKNOWN,
            down="telemetry",
        ),
        Panel(
            "Alerts firing",
            "stat",
            8,
            "How many alerts fire for the chosen jobs, by severity: critical ones page.",
            (Query(_NONE, "{{severity}}", OK), *_by_severity()),
            "none",
            snapshot=True,
            by_kind=True,
            empty=UNKNOWN,
        ),
        Panel(
            "Alerts that fire",
            "table",
            24,
            "And for how long their conditions have held. A name leads to its runbook.",
            (Query(_by_rank(f"{_SINCE} and on ({_ALERT}) {_told_apart(_FIRING)}"), "for"),),
            "s",
            snapshot=True,
            columns=(("for", "s"),),
            linked=("alert", "Runbook", RUNBOOK),
            headings=(("alertname", "alert"), ("of", "about")),
            widths=(("severity", 80), ("component", 120), ("for", 80)),
            height=8,
            empty=NONE,
            words=(("severity", SEVERITY),),
        ),
        timeline(
            "Readiness over time",
            24,
            "Each check, at its worst instance, and whether Prometheus reached every instance. "
            "Where there is no bar, nobody told.",
            (f"min by (check) ({select('vibebox_health_check_up')})", "{{check}}"),
            (f"min by (job) ({select('up')})", "scrape of {{job}}"),
            mappings=UP_OR_DOWN,
            thresholds=steps("critical", ok=1),
            down="telemetry",
        ),
    ),
    added=True,
)
_ATTEMPTS = "vibebox_auth_attempts_total"


def _refused() -> Iterator[tuple[str, str, str]]:
    """Yield the attempts that failed, by how somebody tried to come in."""
    for method, color in zip(AUTHENTICATION_METHODS, TINTS[NOTICE], strict=False):
        found = in_bars(_ATTEMPTS, f'method="{method}"', 'status="failure"')
        yield found, f"refused {method}", color


_SIGN_UPS = Row(
    "Sign-ins and sign-ups",
    (
        events(
            "Refused sign-ins",
            24,
            "Passwords, keys, tokens and tickets that were wrong or came too often. "
            "HighAuthFailureRate warns of many, SlowBruteForceAttack of an hour that has too many, "
            "and PossibleBruteForceAttack pages.",
            "short",
            *_refused(),
            whole=all_in_bars(_ATTEMPTS, 'status="failure"', of="method"),
            height=7,
        ),
        events(
            "Requests for an account",
            24,
            f"By what they came to. UnusualSignUps warns at {t.SIGN_UPS} that made one or "
            "met the limit on them.",
            "short",
            (in_bars("vibebox_registrations_total", by="outcome"), "{{outcome}}"),
            whole=all_in_bars("vibebox_registrations_total", of="outcome"),
            height=7,
        ),
    ),
    added=True,
)
_STATUS = Row(
    "Status",
    (
        stat(
            "Service status",
            6,
            f"min({select('up')}) or vector(0)",
            "status",
            "Whether Prometheus reads the metrics of every chosen instance. DOWN also where no "
            "instance is known at all.",
            "none",
            thresholds=steps("critical", ok=1),
            mappings=UP_OR_DOWN,
            down="telemetry",
        ),
        stat(
            "Uptime",
            6,
            f"min(time() - {_STARTED})",
            "uptime",
            "Time since the youngest server started; replaced workers do not count.",
            "dtdurations",
            thresholds=steps("notice", ok=300),
            down="telemetry",
        ),
        stat(
            "Request rate",
            6,
            _ALL,
            "req/s",
            "Requests a second, without probes and long streams.",
            "reqps",
            thresholds=BLUE,
            down="api-performance",
        ),
        stat(
            "Server error ratio",
            6,
            f"({_FAILED} or vector(0)) / ({_ALL} > 0)",
            "5xx",
            "Share of requests that the service answered with 5xx. Nothing while nobody asks.",
            "percentunit",
            thresholds=FAILING,
            down="slo",
            leads=FAILED_REQUESTS,
        ),
    ),
)
_TRAFFIC = Row(
    "Traffic",
    (
        graph(
            "Requests by status class",
            16,
            "All requests a second by the first digit of their status; probes and handshakes of "
            "WebSockets (1xx) too.",
            "reqps",
            (total(_CLASSES, "class"), "{{class}}"),
            stacked=True,
            down="api-performance",
        ),
        shares(
            "Requests by method",
            8,
            total(increase(REQUESTS), "method"),
            "{{method}}",
            "All requests of the time shown.",
            "locale",
            decimals=0,
            down="api-performance",
        ),
    ),
)
_LATENCY = Row(
    "Latency",
    (
        percentiles("Response time percentiles", 12, 50, 90, 95, 99, down="api-performance"),
        bars(
            "Top 10 busiest routes",
            12,
            f"topk(10, {total(rate(REQUESTS, NO_PROBES, over=RANGE), 'method, route')} > 0)",
            "{{method}} {{route}}",
            "Requests a second, on average over the time shown; without probes and scrapes.",
            "reqps",
            thresholds=BLUE,
            # Ten bars below their names.
            height=12,
            down="api-performance",
            series_leads=of_route(label),
        ),
    ),
)
_RESOURCES = Row(
    "Resources",
    (
        shares(
            "Environments by status",
            8,
            largest(select("vibebox_environments_total"), "status"),
            "{{status}}",
            "What the database says now; the same on every instance.",
            "none",
            down="environments",
        ),
        graph(
            "CPU and memory use",
            16,
            "Share of what the control group allows (or the host has): of CPUs by instance and by "
            "web server and agent; of memory by instance, of all who share the limit, where web "
            "server and agent have one each that of the fuller. HighCPUUsage warns at "
            f"{t.CPU_RATIO}, HighMemoryUsage at {t.MEMORY_RATIO}.",
            "percentunit",
            (f"{_CPU} / {_CORES}", "CPU {{instance}} {{role}}", CPU),
            (_FULLEST, "memory {{instance}}", MEMORY),
            bounds=(0, 1),
            thresholds=watched(HighCPUUsage=t.CPU_RATIO, HighMemoryUsage=t.MEMORY_RATIO),
            down="telemetry",
        ),
    ),
)
BOARD = Board(
    "vibebox-overview",
    "VibeBox - Overview",
    "Whether the service is well, how much it is used, and how full it is.",
    (golden_signals("vibebox-overview"), _WELL, _STATUS, _TRAFFIC, _LATENCY, _RESOURCES, _SIGN_UPS),
)
