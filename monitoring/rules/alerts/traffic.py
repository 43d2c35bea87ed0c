"""Alerts on what clients ask for: requests, statements, WebSockets, authentications."""

from monitoring.rules import thresholds as t
from monitoring.rules.expressions import (
    NO_WAITING,
    both,
    floor,
    rates,
    ratio,
    select,
    slower,
)
from monitoring.rules.recording import DATABASE, DATABASE_P95, HTTP, HTTP_P95
from monitoring.rules.rule import Alert, Group

_SECONDS = '{{ $value | printf "%.2f" }} s'
_RATE = '{{ $value | printf "%.1f" }}'
_REQUESTS = rates("job", f"{HTTP}_count", NO_WAITING)
# Only 5xx: a scanner gets thousands of 404 and 401, and nothing is wrong.
_ERRORS = rates("job", "vibebox_api_errors_total", 'route!="unmatched"', 'status_code=~"5.."')
_STATEMENTS = rates("job", f"{DATABASE}_count")
_FAILURES = rates("job", "vibebox_auth_attempts_total", 'status="failure"', window="2m")
# Those by which somebody proves who they are; a program repeats its token with each request, and
# would drown a thousand wrong passwords in good ones.
_SECRETS = 'method=~"password|refresh|api_key"'
_SECRETS_FAILED = rates("job", "vibebox_auth_attempts_total", 'status="failure"', _SECRETS)
_SECRETS_ALL = rates("job", "vibebox_auth_attempts_total", _SECRETS)


def _latency(name: str, severity: str, pending: str, seconds: float, summary: str) -> Alert:
    return Alert(
        name,
        severity,
        "api",
        pending,
        both(
            f"{select(HTTP_P95)} > {seconds}",
            floor(_REQUESTS),
            slower(seconds, "job", HTTP, NO_WAITING),
        ),
        summary,
        f"5 of 100 requests took {_SECONDS} or more in the past 5 minutes (limit: {seconds} s).",
        "api-performance",
        "api-latency",
    )


def _errors(name: str, severity: str, pending: str, rate: float, summary: str) -> Alert:
    return Alert(
        name,
        severity,
        "api",
        pending,
        f"{_ERRORS} > {rate}",
        summary,
        f"{_RATE} requests a second failed with a 5xx in the past 5 minutes (limit: {rate}).",
        "api-performance",
        "api-errors",
    )


def _database(name: str, severity: str, pending: str, seconds: float, summary: str) -> Alert:
    return Alert(
        name,
        severity,
        "database",
        pending,
        both(
            f"{select(DATABASE_P95)} > {seconds}",
            floor(_STATEMENTS),
            slower(seconds, "job", DATABASE),
        ),
        summary,
        f"5 of 100 statements took {_SECONDS} or more in the past 5 minutes (limit: {seconds} s).",
        "api-performance",
        "db-latency",
    )


GROUPS = (
    Group(
        "api-performance",
        (
            _latency(
                "VeryHighAPILatency", "critical", "2m", t.LATENCY_CRITICAL, "The API hardly answers"
            ),
            _latency("HighAPILatency", "warning", "5m", t.LATENCY_WARNING, "The API is slow"),
            _errors(
                "VeryHighAPIErrorRate", "critical", "2m", t.ERRORS_CRITICAL, "The API is failing"
            ),
            _errors("HighAPIErrorRate", "warning", "5m", t.ERRORS_WARNING, "Many requests fail"),
        ),
    ),
    Group(
        "database-performance",
        (
            _database(
                "VerySlowDatabaseQueries",
                "critical",
                "2m",
                t.DATABASE_CRITICAL,
                "The database hardly answers",
            ),
            _database(
                "SlowDatabaseQueries", "warning", "5m", t.DATABASE_WARNING, "The database is slow"
            ),
            Alert(
                "DatabasePoolExhausted",
                "warning",
                "database",
                "2m",
                "max by (job, instance) "
                f"({select('vibebox_db_connection_pool_utilization')}) >= {t.POOL_RATIO}",
                "A worker of {{ $labels.instance }} has no database connection left",
                "All connections that a worker may open have been in use for 2 minutes: requests "
                "wait for one, and fail after VIBEBOX_DB_POOL_TIMEOUT.",
                "telemetry",
            ),
        ),
    ),
    Group(
        "websocket-connections",
        (
            Alert(
                "HighWebSocketConnections",
                "warning",
                "websockets",
                "5m",
                ratio(
                    f"sum by (job, instance) ({select('vibebox_websocket_connections')})",
                    f"sum by (job, instance) ({select('vibebox_websocket_connections_limit')})",
                    f"> {t.WEBSOCKET_RATIO}",
                ),
                "{{ $labels.instance }} holds nearly as many WebSockets as it can",
                "{{ $value | humanizePercentage }} of the WebSockets that it would take are open; "
                "beyond the limit, terminals and live logs are refused with 503.",
                "api-performance",
            ),
        ),
    ),
    Group(
        "authentication",
        (
            Alert(
                "PossibleBruteForceAttack",
                "critical",
                "auth",
                "2m",
                f"{_FAILURES} > {t.ATTACK_FAILURES}",
                "Somebody may be guessing passwords or keys",
                f"{_RATE} authentications a second failed in the past 2 minutes "
                f"(limit: {t.ATTACK_FAILURES}).",
                "vibebox-overview",
                "auth",
            ),
            Alert(
                "HighAuthFailureRate",
                "warning",
                "auth",
                "5m",
                both(
                    ratio(_SECRETS_FAILED, _SECRETS_ALL, f"> {t.AUTH_FAILURE_RATIO}"),
                    floor(_SECRETS_ALL, t.AUTH_FLOOR),
                ),
                "Most sign-ins fail",
                "{{ $value | humanizePercentage }} of the authentications by password, refresh "
                "token or API key failed in the past 5 minutes.",
                "vibebox-overview",
                "auth",
            ),
        ),
    ),
)
