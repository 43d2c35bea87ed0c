"""What a step moves, by series; and how the series of events are read from a scrape."""

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache

Moves = Counter[str]

OVERFLOW = "vibebox_metrics_label_overflow_total"
REQUESTS = "vibebox_http_requests_total"
DOCKER = "vibebox_docker_operations_total"
STATEMENTS = "vibebox_db_query_duration_seconds_count"
# What only events move, and the gauges that count rows: between two steps all of it stands still.
WATCHED = (
    REQUESTS,
    "vibebox_http_request_duration_seconds_count",
    "vibebox_api_errors_total",
    DOCKER,
    "vibebox_docker_operation_duration_seconds_count",
    "vibebox_auth_attempts_total",
    "vibebox_registrations_total",
    "vibebox_environment_start_duration_seconds_count",
    "vibebox_environment_exits_total",
    "vibebox_environment_drift",
    "vibebox_extension_installations_total",
    "vibebox_log_entries_total",
    "vibebox_health_check_up",
    "vibebox_health_check_duration_seconds_count",
    "vibebox_worker_exits_total",
    "vibebox_workers",
    "vibebox_metrics_collect_errors_total",
    OVERFLOW,
    "vibebox_environments_total",
    "vibebox_environments",
    "vibebox_users",
    "vibebox_sessions_total",
    "vibebox_sessions",
    "vibebox_websocket_connections",
    "vibebox_websocket_messages_total",
)
_SAMPLE = re.compile(r"(?m)^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_SCRAPE = 'route="/health/metrics"'


def series(name: str, **labels: str) -> str:
    """Return a series as it is written, its labels in alphabetical order."""
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inside}}}"


def labels_of(key: str, names: Iterable[str]) -> list[tuple[str, str]]:
    """Return labels and values of a series, if it is of one of these names."""
    return _LABEL.findall(key) if key.partition("{")[0] in names else []


def read(text: str, names: Iterable[str] = WATCHED) -> Moves:
    """Return the values of a scrape, those of the scrapes themselves left out."""
    found: Moves = Counter()
    for name, labels, value in _SAMPLE.findall(text):
        if name in names and _SCRAPE not in labels:
            found[_in_order(name, labels)] += int(float(value))
    return found


@cache
def _in_order(name: str, labels: str) -> str:
    return series(name, **dict(_LABEL.findall(labels)))


def difference(after: Moves, before: Moves) -> dict[str, int]:
    """Return what changed, with its sign."""
    return {
        name: after[name] - before[name]
        for name in after.keys() | before.keys()
        if after[name] != before[name]
    }


def moves(*parts: Moves) -> Moves:
    """Return all parts together; what comes to nothing is left out."""
    total: Moves = Counter()
    for part in parts:
        for name, amount in part.items():
            total[name] += amount
    return Counter({name: amount for name, amount in total.items() if amount})


def _each(name: str, label: str, amounts: dict[str, int], **more: str) -> Moves:
    return Counter({series(name, **{label: value}, **more): n for value, n in amounts.items()})


def docker(status: str = "success", **operations: int) -> Moves:
    """Calls of Docker, in counter and histogram."""
    return moves(
        _each(DOCKER, "operation", operations, status=status),
        _each("vibebox_docker_operation_duration_seconds_count", "operation", operations),
    )


def auth(method: str, **outcomes: int) -> Moves:
    """Authentications by one method: success=, failure=."""
    return _each("vibebox_auth_attempts_total", "status", outcomes, method=method)


def registered(way: str = "open", **outcomes: int) -> Moves:
    """Requests for an account: created=, taken=, refused=."""
    return _each("vibebox_registrations_total", "outcome", outcomes, way=way)


def token(times: int = 1) -> Moves:
    """Requests with a valid access token."""
    return auth("token", success=times)


def started(**outcomes: int) -> Moves:
    """Starts that came to their end."""
    return _each("vibebox_environment_start_duration_seconds_count", "outcome", outcomes)


def ended(**reasons: int) -> Moves:
    """Runs of containers that ended."""
    return _each("vibebox_environment_exits_total", "reason", reasons)


def written(**streams: int) -> Moves:
    """Lines stored."""
    return _each("vibebox_log_entries_total", "stream", streams)


def installed(**outcomes: int) -> Moves:
    """Installations of extensions that ended."""
    return _each("vibebox_extension_installations_total", "status", outcomes)


def environments(**statuses: int) -> Moves:
    """Rows by status, under both names."""
    names = ("vibebox_environments_total", "vibebox_environments")
    return moves(*(_each(name, "status", statuses) for name in names))


def sessions(kind: str, **statuses: int) -> Moves:
    """Sessions of a type by status, under both names."""
    names = ("vibebox_sessions_total", "vibebox_sessions")
    return moves(*(_each(name, "status", statuses, type=kind) for name in names))


def users(**states: int) -> Moves:
    """Rows by state."""
    return _each("vibebox_users", "state", states)


def checked(*checks: str) -> Moves:
    """Runs of health checks."""
    return _each("vibebox_health_check_duration_seconds_count", "check", dict.fromkeys(checks, 1))


def up(check: str, by: int, required: str = "true") -> Moves:
    """A health check that finds its dependency well again, or no longer."""
    return Counter({series("vibebox_health_check_up", check=check, required=required): by})


def answered(method: str, route: str, status: int) -> Moves:
    """One HTTP request, with its duration, its error, and a method that nobody knows."""
    known = method in "GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH".split()
    labels = {"method": method if known else "OTHER", "route": route, "status_code": str(status)}
    found = Counter({series(REQUESTS, **labels): 1})
    found[series("vibebox_http_request_duration_seconds_count", **labels)] = 1
    if status >= 400:
        kind = "client_error" if status < 500 else "server_error"
        # The tables of these tests let a 500 come from nowhere else.
        kind = {500: "unhandled_exception", 504: "timeout", 408: "timeout"}.get(status, kind)
        error = {"type": kind, "route": route, "status_code": str(status)}
        found[series("vibebox_api_errors_total", **error)] = 1
    if not known:
        found[series(OVERFLOW, family=REQUESTS)] = 1
    return found
