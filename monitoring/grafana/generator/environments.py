"""Dashboard "VibeBox - Environments": containers, sessions, extensions and logs."""

from monitoring.grafana.generator.leads import CALLS
from monitoring.grafana.generator.panels import (
    BLUE,
    GREEN,
    GREY,
    Board,
    Panel,
    Row,
    Thresholds,
    bars,
    graph,
    shares,
    stat,
    steps,
)
from monitoring.grafana.generator.promql import (
    DOCKER,
    DOCKER_TIME,
    RANGE,
    increase,
    largest,
    now,
    quantile,
    rate,
    select,
    total,
)
from monitoring.rules import thresholds as t

_ENVIRONMENTS, _SESSIONS = "vibebox_environments_total", "vibebox_sessions_total"
_EXTENSIONS, _LINES = "vibebox_extension_installations_total", "vibebox_log_entries_total"
_MANY = t.ENVIRONMENTS_IN_ERROR + 1
_CALLS = total(rate(DOCKER), "operation")
_FAILED = total(rate(DOCKER, 'status="failure"'), "operation")


def _number(title: str, status: str, meaning: str, thresholds: Thresholds) -> Panel:
    return stat(
        title,
        6,
        largest(select(_ENVIRONMENTS, f'status="{status}"')),
        status,
        f"{meaning} The database says so, and tells the same on every instance.",
        "none",
        thresholds=thresholds,
    )


def _sessions(title: str, kind: str, legend: str, meaning: str) -> Panel:
    return stat(
        title,
        8,
        largest(select(_SESSIONS, f'type="{kind}"', 'status="active"')),
        legend,
        f"{meaning} Idle ones are left out.",
        "none",
        thresholds=BLUE,
    )


_STATES = Row(
    "Environments",
    (
        _number("Running", "running", "Environments whose container runs.", GREEN),
        _number("Stopped", "stopped", "Environments at rest.", GREY),
        _number("Starting", "starting", "Environments on their way; pulls included.", BLUE),
        _number(
            "Error",
            "error",
            "Environments that failed to start or ended by themselves. HighEnvironmentErrorRate "
            f"warns at {_MANY}.",
            steps("green", orange=1, red=_MANY),
        ),
        graph(
            "Environments over time",
            24,
            "All environments by status, as the database says.",
            "none",
            (largest(select(_ENVIRONMENTS), "status"), "{{status}}"),
            stacked=True,
        ),
    ),
)
_DOCKER = Row(
    "Docker",
    (
        graph(
            "Docker operations by kind",
            12,
            "Calls of Docker Engine a second, by web server and agent together.",
            "ops",
            (_CALLS, "{{operation}}"),
        ),
        graph(
            "Docker failure ratio",
            12,
            "Share of calls that Docker did not answer, or with an error of its own. A missing "
            "container or a command's exit code is no failure. HighDockerFailureRate warns at "
            f"{t.DOCKER_FAILURE_RATIO}.",
            "percentunit",
            (f"({_FAILED} or 0 * {_CALLS}) / ({_CALLS} > 0)", "{{operation}}"),
            bounds=(0, 1),
            thresholds=steps("green", yellow=0.05, red=t.DOCKER_FAILURE_RATIO),
            series_leads=CALLS,
        ),
        graph(
            "Docker operation time",
            12,
            "How long calls took, failed ones too. SlowDockerOperations warns at a p95 of "
            f"{t.DOCKER_SECONDS} s.",
            "s",
            (quantile(0.95, DOCKER_TIME, by="operation"), "p95 {{operation}}"),
            (quantile(0.5, DOCKER_TIME), "p50 all"),
            thresholds=steps("green", red=t.DOCKER_SECONDS),
            exemplars=True,
            series_leads=CALLS,
        ),
        bars(
            "Slowest docker operations",
            12,
            f"sort_desc({now(quantile(0.95, DOCKER_TIME, by='operation', over=RANGE))})",
            "{{operation}}",
            "p95 of each kind of call over the time shown.",
            "s",
            thresholds=steps("green", yellow=10, red=t.DOCKER_SECONDS),
            series_leads=CALLS,
        ),
    ),
)
_PEOPLE = Row(
    "Sessions",
    (
        _sessions("VS Code sessions", "vscode_server", "VS Code", "Editors that are in use."),
        _sessions("tmux sessions", "tmux", "tmux", "Terminals that outlive their window."),
        _sessions("Shell sessions", "shell", "Shell", "Terminals that end with their window."),
        graph(
            "Sessions by type",
            24,
            "Sessions that are in use, as the database says.",
            "none",
            (largest(select(_SESSIONS, 'status="active"'), "type"), "{{type}}"),
            stacked=True,
        ),
    ),
)
_INSTALLED = Row(
    "Extensions",
    (
        graph(
            "Extension installations",
            12,
            "Finished installations an hour, by the exit code of the command that installed.",
            "short",
            (f"{total(rate(_EXTENSIONS), 'status')} * 3600", "{{status}}"),
            bounds=(0, None),
        ),
        shares(
            "Extension installations by result",
            12,
            total(increase(_EXTENSIONS), "status"),
            "{{status}}",
            "Finished installations of the time shown.",
            "short",
            thresholds=BLUE,
        ),
    ),
)
_LOGS = Row(
    "Logs",
    (
        graph(
            "Log entries by stream",
            16,
            "Lines a second that containers wrote and VibeBox stored, each counted once.",
            "ops",
            (total(rate(_LINES), "stream"), "{{stream}}"),
            stacked=True,
        ),
        shares(
            "Log volume by stream",
            8,
            total(increase(_LINES), "stream"),
            "{{stream}}",
            "Lines of the time shown.",
            "short",
        ),
    ),
)

BOARD = Board(
    "environments",
    "VibeBox - Environments",
    "Environments, what Docker does for them, and what happens in them.",
    (_STATES, _DOCKER, _PEOPLE, _INSTALLED, _LOGS),
)
