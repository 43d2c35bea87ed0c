"""Dashboard "VibeBox - Environments": containers, sessions, extensions and logs."""

from monitoring.grafana.generator.golden import ALERT_VALUE, objectives, threads_busy
from monitoring.grafana.generator.leads import CALLS, EVERYTHING
from monitoring.grafana.generator.levels import Step, Thresholds, watched
from monitoring.grafana.generator.palette import CRITICAL, MEANINGS
from monitoring.grafana.generator.panels import (
    BLUE,
    GREEN,
    GREY,
    Board,
    Panel,
    Row,
    bars,
    events,
    graph,
    heatmap,
    shares,
    stat,
    steps,
    timeline,
)
from monitoring.grafana.generator.promql import (
    DOCKER,
    DOCKER_TIME,
    RANGE,
    all_in_bars,
    by_duration,
    in_bars,
    increase,
    largest,
    now,
    quantile,
    rate,
    select,
    total,
    while_led,
    while_up,
)
from monitoring.grafana.generator.states import UP_OR_DOWN
from monitoring.rules import thresholds as t

_ENVIRONMENTS, _SESSIONS = "vibebox_environments_total", "vibebox_sessions_total"
_EXTENSIONS, _LINES = "vibebox_extension_installations_total", "vibebox_log_entries_total"
_MANY = t.ENVIRONMENTS_IN_ERROR + 1
_CALLS = total(rate(DOCKER), "operation")
_OPERATION_P95 = quantile(0.95, DOCKER_TIME, 'operation!="pull"', by="operation", over="5m")
_FAILURES = 'status="failure"'
_NO_PINGS = 'operation!="ping"'
_FAILED_IN_BARS = in_bars(DOCKER, _FAILURES, by="operation")


def _chosen(most: int, expression: str) -> str:
    """Return the kinds of call that have the most of it over the time shown, for a graph."""
    return f"on (operation) topk({most}, {expression})"


_MOST_CALLED = _chosen(4, total(rate(DOCKER, shown=True), "operation"))
_MOST_FAILED = _chosen(5, f"{total(rate(DOCKER, _FAILURES, shown=True), 'operation')} > 0")


def _failed_of_all() -> str:
    """Return the share of all calls of Docker that failed; nothing while there are none."""
    failed, calls = (total(rate(DOCKER, *which)) for which in ((_FAILURES,), ()))
    return f"({failed} or 0 * {calls}) / ({calls} > 0)"


def _failed_of_the_worst() -> str:
    """Return the largest share of failed calls of a kind, as HighDockerFailureRate looks at it."""
    failed, calls = (
        total(rate(DOCKER, _NO_PINGS, *which, over="5m"), "operation")
        for which in ((_FAILURES,), ())
    )
    # Of a kind without a failure there is no share, and of few calls one says nothing.
    failed = f"({failed} >= {t.BAD_FLOOR} / 300)"
    worst = f"max({failed} / ({calls} >= {t.FLOOR} / 300))"
    return f"({worst} or 0 * {total(rate(DOCKER, over='5m'))})"


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
    color = MEANINGS["type"][kind].color
    return stat(
        title,
        8,
        largest(select(_SESSIONS, f'type="{kind}"', 'status="active"')),
        legend,
        f"{meaning} Idle ones are left out.",
        "none",
        thresholds=(Step(color, None),),
    )


_STARTED = "vibebox_environment_start_duration_seconds"
_STARTS = total(rate(f"{_STARTED}_count", over=RANGE))
_FAILED_STARTS = total(rate(f"{_STARTED}_count", 'outcome="failure"', over=RANGE))
_EXITS = "vibebox_environment_exits_total"
_DOCKER_CHECK = 'check="docker"'
_BAD = 'reason=~"oom|error|killed"'
_GOLDEN = Row(
    "Golden signals and objectives",
    (
        stat(
            "Start time (p95, 10 min)",
            8,
            while_up(now(quantile(0.95, _STARTED, 'outcome="success"', over="10m"))),
            "p95",
            "What 95 of 100 starts of the last 10 minutes took at most, from the accepted request "
            "to a container that answers; pulls included. SlowEnvironmentStarts warns at "
            f"{t.START_SECONDS} s.",
            "s",
            thresholds=watched(notice=10, SlowEnvironmentStarts=t.START_SECONDS),
        ),
        stat(
            "Starts an hour",
            8,
            while_up(f"3600 * {_STARTS}"),
            "starts",
            "Traffic: starts that came to their end, however they ended, on average over the time "
            "shown. How many there were is below, by outcome.",
            "short",
            decimals=1,
            thresholds=BLUE,
        ),
        stat(
            "Failed starts (time shown)",
            8,
            while_up(f"({_FAILED_STARTS} or 0 * {_STARTS}) / ({_STARTS} > 0)"),
            "of starts",
            "Errors: share of the starts of the time shown that failed because of Docker or "
            "VibeBox, not because of what the user asked for.",
            "percentunit",
            decimals=1,
            thresholds=steps("ok", notice=0.001, warning=0.1),
        ),
        stat(
            "Docker failures (5 min)",
            8,
            while_up(_failed_of_the_worst()),
            "of calls",
            "Share of the calls of the last 5 minutes that failed because of Docker, of the kind "
            f"of which it is largest: without pings, and of kinds with {t.FLOOR} calls and "
            f"{t.BAD_FLOOR} failures at least. "
            f"HighDockerFailureRate warns above {t.DOCKER_FAILURE_RATIO}.",
            "percentunit",
            thresholds=watched(notice=0.05, HighDockerFailureRate=t.DOCKER_FAILURE_RATIO),
        ),
        timeline(
            "Docker answers",
            16,
            "Whether Docker Engine was well at the last check of every instance. NotReady pages "
            "where the check is required.",
            (f"min({select('vibebox_health_check_up', _DOCKER_CHECK)})", "docker"),
            mappings=UP_OR_DOWN,
            thresholds=steps("critical", ok=1),
            height=3,
        ),
        stat(
            "Ended badly (time shown)",
            12,
            while_led(total(increase(_EXITS, _BAD))),
            "ended",
            "Containers of the time shown that ended short of memory, by an error of their "
            "command, or by a signal that VibeBox did not send. Of those short of memory "
            "EnvironmentsKilledByMemory warns. Kills in a container that lives on are on the "
            "dashboard of teams (Kills for want of memory).",
            "none",
            decimals=0,
            thresholds=watched(EnvironmentsKilledByMemory=1),
            down="team",
        ),
        threads_busy(width=12),
        *objectives(12),
    ),
    added=True,
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
            watched(notice=1, HighEnvironmentErrorRate=_MANY),
        ),
        graph(
            "Environments over time",
            24,
            "All environments by status, as the database says.",
            "none",
            (largest(select(_ENVIRONMENTS), "status"), "{{status}}"),
            stacked=True,
            # In a narrow window the legend is below, and has six.
            height=13,
        ),
    ),
)
_DOCKER = Row(
    "Docker",
    (
        graph(
            "Docker operations by kind",
            24,
            "Calls of Docker Engine a second, by web server and agent together: the four kinds "
            "that were called most in the time shown, and all others.",
            "ops",
            (f"{_CALLS} and {_MOST_CALLED}", "{{operation}}"),
            (total(f"{_CALLS} unless {_MOST_CALLED}"), "rest"),
            # In a narrow window the legend is below, and has five.
            height=13,
        ),
        graph(
            "Docker failure ratio",
            24,
            "Share of calls that Docker did not answer, or with an error of its own: of all, and, "
            "as the alert value, over 5 minutes of the kind of which it is largest, without pings. "
            "A missing container or a command's exit code is no failure. HighDockerFailureRate "
            f"warns at {t.DOCKER_FAILURE_RATIO}. Which kinds fail is in Failed calls by kind.",
            "percentunit",
            (_failed_of_the_worst(), ALERT_VALUE),
            (_failed_of_all(), "failures, all", CRITICAL),
            bounds=(0, 1),
            bridged=True,
            thresholds=watched(HighDockerFailureRate=t.DOCKER_FAILURE_RATIO),
        ),
        graph(
            "Docker operation time",
            16,
            "How long calls of all kinds together took, failed ones too; which kinds are slow, and "
            "the alert on them, are beside it. A percentile is estimated within its bucket: "
            "above 10 s, roughly. Dots are calls of single requests; those of the agent have none.",
            "s",
            *((quantile(share / 100, DOCKER_TIME), f"p{share}") for share in (50, 95, 99)),
            exemplars=True,
            leads=EVERYTHING,
        ),
        bars(
            "Slowest docker operations",
            8,
            f"sort_desc(topk(10, {now(_OPERATION_P95)}))",
            "{{operation}}",
            "p95 of the last 5 minutes, of the ten kinds of call with the largest; without pulls, "
            f"as SlowDockerOperations looks at it, which warns at {t.DOCKER_SECONDS} s. From 5 s "
            "on one is worth a look.",
            "s",
            # A second is what any call takes; ten, what one does that waits for SIGTERM.
            thresholds=watched(notice=5, SlowDockerOperations=t.DOCKER_SECONDS),
            series_leads=CALLS,
        ),
    ),
)
_FAILED_CALLS = Row(
    "Docker failures",
    (
        events(
            "Failed calls by kind",
            24,
            "Calls that Docker did not answer, or with an error of its own: the five kinds of "
            "which most failed in the time shown, and all others.",
            "short",
            (f"{_FAILED_IN_BARS} and {_MOST_FAILED}", "{{operation}}"),
            (f"sum({_FAILED_IN_BARS} unless {_MOST_FAILED})", "rest"),
            whole=all_in_bars(DOCKER, _FAILURES, of="operation"),
            # In a narrow window the legend is below, and has seven.
            height=16,
            series_leads=CALLS,
        ),
    ),
    added=True,
)
_HEAT = Row(
    "Distribution of durations",
    (
        heatmap(
            "Docker calls by duration",
            12,
            "How many calls a second took how long; one that came but once has a cell too. Dots "
            "are calls of single requests; those of the agent have none.",
            by_duration(DOCKER_TIME),
        ),
        heatmap(
            "Starts by duration",
            12,
            "How many starts of environments a second took how long, pulls included.",
            by_duration(_STARTED),
        ),
    ),
    added=True,
)
_ENDS = Row(
    "Starts and ends",
    (
        events(
            "Starts by outcome",
            8,
            "user_error: what the user asked for cannot be (no such image, a command that "
            "ends); failure: Docker or VibeBox.",
            "short",
            (in_bars(f"{_STARTED}_count", by="outcome"), "{{outcome}}"),
            whole=all_in_bars(f"{_STARTED}_count", of="outcome"),
        ),
        events(
            "Ends by reason",
            16,
            "Containers that ended. user: asked for; completed, error: the command ended; "
            "oom: short of memory; killed: a signal that VibeBox did not send.",
            "short",
            (in_bars(_EXITS, by="reason"), "{{reason}}"),
            whole=all_in_bars(_EXITS, of="reason"),
        ),
    ),
    added=True,
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
        events(
            "Extension installations",
            12,
            "Finished installations by the exit code of the command that installed.",
            "short",
            (in_bars(_EXTENSIONS, by="status"), "{{status}}"),
            whole=all_in_bars(_EXTENSIONS, of="status"),
            height=8,
        ),
        shares(
            "Extension installations by result",
            12,
            total(increase(_EXTENSIONS), "status"),
            "{{status}}",
            "Finished installations of the time shown, by increase() of Prometheus: it estimates "
            "what happened at its edges, so that the bars beside may have one more or less.",
            "locale",
            decimals=0,
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
            "suffix:lines/s",
            (total(rate(_LINES), "stream"), "{{stream}}"),
            stacked=True,
            height=7,
        ),
        shares(
            "Log volume by stream",
            8,
            total(increase(_LINES), "stream"),
            "{{stream}}",
            "Lines of the time shown.",
            "suffix:lines",
            decimals=0,
        ),
    ),
)

BOARD = Board(
    "environments",
    "VibeBox - Environments",
    "Environments, what Docker does for them, and what happens in them.",
    (_GOLDEN, _STATES, _ENDS, _DOCKER, _FAILED_CALLS, _HEAT, _PEOPLE, _INSTALLED, _LOGS),
)
