"""Where the series of alerts come from, and which alert tells when they no longer do.

An alert whose series are gone, or stand still, is silent: so each source of series has an alert
that reads something else. A test walks through every alert and every source that it reads from.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from monitoring.rules import alerts, recording, slo
from monitoring.rules.rule import Alert, Group, Record

_SELECTOR = re.compile(r"\b(vibebox:\w+:\w+|vibebox_\w+|up|scrape_\w+)\{([^}]*)\}")
_EQUAL = re.compile(r'(\w+)="([^"]*)"')
_PART = re.compile(r"_(bucket|sum|count)$")


@dataclass(frozen=True)
class Source:
    """What has to live for series to be told, and the alerts of which one fires when it does not.

    `remains` are series, as promtool writes them, that are left to see it by; `within` is how many
    minutes after the end of the source one of `tells` fires.
    """

    title: str
    tells: tuple[str, ...]
    within: int
    remains: tuple[tuple[str, str], ...] = ()


_TARGET = '{job="vibebox-backend",instance="a:3000"'


def _seen(name: str, labels: str, values: str) -> tuple[str, str]:
    return f"{name}{_TARGET}{',' if labels else ''}{labels}}}", values


_UP = _seen("up", "", "1x200")
_CHECK = "vibebox_health_check_up"
_SCRAPED = (
    _UP,
    _seen("vibebox_http_requests_total", 'route="/health/metrics"', "0+1x200"),
    _seen("vibebox_health_check_duration_seconds_count", 'check="database"', "0+1x200"),
)

SOURCES = {
    "target": Source(
        "the server, or the way to it",
        ("ServiceDown",),
        2,
        (_seen("up", "", "1x20 0x200"),),
    ),
    "configuration": Source("a target in Prometheus' configuration", ("ServiceDown",), 7),
    "directory": Source(
        "the shared directory of the metrics",
        ("MetricsMissing", "MetricsHidden"),
        7,
        (
            _UP,
            _seen("vibebox_http_requests_total", 'route="/health/metrics"', "0+1x20 20x200"),
            _seen("vibebox_metrics_processes", 'state="hidden"', "0x20 3x200"),
        ),
    ),
    "process": Source(
        "one of the processes: stopped, or frozen",
        ("ProcessSilent",),
        3,
        (*_SCRAPED, _seen("vibebox_metrics_processes", 'state="silent"', "0x20 1x200")),
    ),
    "checks": Source(
        "what runs the health checks",
        ("MetricsMissing",),
        14,
        _SCRAPED[:2],
    ),
    "database": Source(
        "the database, which is counted in",
        ("NotReady", "MetricsCollectErrors"),
        5,
        (
            *_SCRAPED,
            _seen(_CHECK, 'check="database",required="true"', "1x20 0x200"),
            _seen(
                "vibebox_metrics_collect_errors_total",
                'collector="inventory"',
                "0x20 1+1x200",
            ),
        ),
    ),
    "agent": Source(
        "the leading agent",
        ("AgentNotLeading",),
        3,
        (*_SCRAPED, _seen("vibebox_agent_leading", "", "1x20 0x200")),
    ),
    "comparison": Source(
        "the agent's comparison with Docker",
        ("EnvironmentsNotCompared",),
        8,
        (*_SCRAPED, _seen("vibebox_agent_sweep_age_seconds", "", "9x20 9+15x200")),
    ),
    "engine": Source(
        "Docker Engine",
        ("NotReady", "DependencyUnavailable"),
        5,
        (*_SCRAPED, _seen(_CHECK, 'check="docker",required="true"', "1x20 0x200")),
    ),
}

_EVERYTHING = ("target", "configuration")
_SHARED = (*_EVERYTHING, "directory")
_WRITERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"up|scrape_\w+", _EVERYTHING),
    (r"vibebox_health_check_\w+", (*_SHARED, "checks")),
    (
        r"vibebox_(environments|sessions|users)(_total)?|vibebox_agent_(leading|sweep_age_seconds)"
        r"|vibebox_alerting_heartbeat_age_seconds"
        r"|vibebox_probe_(failed_step|last_success_age_seconds|interval_seconds)"
        r"|vibebox_team_\w+|vibebox_usage_price",
        (*_EVERYTHING, "database"),
    ),
    (r"vibebox_environment_drift", (*_EVERYTHING, "database", "agent", "comparison", "engine")),
    (r"vibebox_environment_exits_total", (*_SHARED, "agent", "engine")),
    (r"vibebox_probe_\w+", (*_SHARED, "agent")),
    (r"vibebox_agent_\w+", (*_SHARED, "agent")),
    # Of each role: the agent's are gone with it.
    (r"vibebox_(process|memory|cpu)_\w+", (*_SHARED, "process", "agent")),
    # The answering worker finds these out itself.
    (r"vibebox_metrics_(processes|directory_trouble)", _EVERYTHING),
    # Gauges of each process; those of one that stands still are left out.
    (
        r"vibebox_(worker_(threads|queue_depth)|websocket_connections(_limit)?"
        r"|http_oldest_request_seconds|client_connections(_limit)?|db_connection_pool_\w+)",
        (*_SHARED, "process"),
    ),
    (r"vibebox_\w+", _SHARED),
)
"""Sources by family; the first that matches holds."""


def of_series(name: str, matchers: str = "") -> tuple[str, ...]:
    """Return the sources of series by their name, and matchers as PromQL has them."""
    family = _PART.sub("", name)
    found = next(found for pattern, found in _WRITERS if re.fullmatch(pattern, family))
    if 'worker="master"' in matchers:
        return tuple(source for source in found if source != "agent")
    return found


def series_of(expression: str) -> set[tuple[str, str]]:
    """Return names and matchers of what an expression reads, of what is recorded what it is of."""
    found = set(_SELECTOR.findall(expression))
    behind = (
        series_of(record.expression)
        for record in _records()
        if any(_is_of(record, name, matchers) for name, matchers in found)
    )
    return {(name, matchers) for name, matchers in found if ":" not in name}.union(*behind)


def _is_of(record: Record, name: str, matchers: str) -> bool:
    """Tell whether a selector chooses what is recorded: of all objectives each has a label."""
    asked = dict(_EQUAL.findall(matchers))
    return record.name == name and all(asked.get(it, value) == value for it, value in record.labels)


def of_alert(alert: Alert) -> tuple[str, ...]:
    """Return the sources that an alert reads from, in the order of SOURCES."""
    found = {source for one in series_of(alert.expression) for source in of_series(*one)}
    return tuple(source for source in SOURCES if source in found)


def table() -> str:
    """Return, as Markdown, for each source what tells of its end, and which alerts are silent."""
    lines = ["| gone | told by | cannot fire then |", "|---|---|---|"]
    for name, source in SOURCES.items():
        told = ", ".join(f"`{teller}`" for teller in source.tells)
        lines.append(f"| {source.title} | {told} | {_silent(name)} |")
    return "\n".join(lines) + "\n"


def _silent(source: str) -> str:
    """Return the alerts that read from a source, or the others where those are fewer."""
    reading = [it.name for it in all_alerts() if source in of_alert(it)]
    others = [it.name for it in all_alerts() if source not in of_alert(it)]
    if not others:
        return "all"
    if len(others) < len(reading):
        return "all but " + ", ".join(f"`{name}`" for name in others)
    return ", ".join(f"`{name}`" for name in reading)


def all_alerts() -> list[Alert]:
    """Return every alert, in the order of the files."""
    return [rule for rule in _rules() if isinstance(rule, Alert)]


def _records() -> list[Record]:
    return [rule for rule in _rules() if isinstance(rule, Record)]


def _rules() -> Iterable[Record | Alert]:
    groups: tuple[Group, ...] = (*recording.GROUPS, *slo.GROUPS, *alerts.GROUPS)
    return (rule for group in groups for rule in group.rules)
