"""Dashboard "VibeBox - Team": what a team has, uses, may have and pays, and what fails.

It reads what `collect[]=teams` and `collect[]=environments` show (deploy/prometheus/usage.yml),
which every instance tells alike: the largest is taken first, then sums. It chooses by team, and by
no job: those series have jobs of their own.
"""

from collections.abc import Iterator

from monitoring.grafana.generator import costs
from monitoring.grafana.generator.levels import Step, Thresholds
from monitoring.grafana.generator.palette import (
    COST,
    CPU,
    DISK,
    MEMORY,
    NETWORK,
    REST,
    VIOLET,
    WARNING,
    WHOLE,
)
from monitoring.grafana.generator.panels import (
    GREEN,
    NONE,
    NOTHING,
    Board,
    Panel,
    Query,
    Row,
    bars,
    events,
    graph,
    stat,
    steps,
)
from monitoring.grafana.generator.promql import RANGE
from monitoring.grafana.generator.surroundings import ANY, choice, datasource
from monitoring.grafana.generator.team_promql import (
    gauge,
    in_bars,
    killed_in_environments,
    of_environments,
    rises,
    used,
)

_MOST, _CURVES = 10, 5
"""Environments in bars of a panel, and in curves: they are told apart by shades of one colour."""
_STATES = "vibebox_team_environments"
_RESOURCES = {
    "cpus": "CPUs",
    "memory_bytes": "memory",
    "cpu_seconds": "CPU hours",
    "memory_byte_seconds": "GiB hours",
}


def _share() -> str:
    """Return the share of each of its quotas that a team has."""
    of_each = "team, resource"
    used, may = (gauge(f"vibebox_team_quota_{share}", of_each) for share in ("used", "limit"))
    return f"{used} / ({may} > 0)"


def _in_words(expression: str) -> str:
    """Return the same by names of resources that people use."""
    for resource, name in _RESOURCES.items():
        expression = f'label_replace({expression}, "resource", "{name}", "resource", "{resource}")'
    return expression


_RUNNING = gauge(_STATES, "team", 'status="running"')
_FULL = steps("ok", notice=0.8, warning=1)
_CORES = "suffix:cores"
_OOM = in_bars("oom_kills")
_LOGS = gauge("vibebox_team_log_bytes", "team")
_UNREAD = used("unread_seconds")
# Nobody is told of a team's kills alone; the alert on containers that end so is a warning.
_KILLED = steps("ok", warning=1)


def _number(title: str, status: str, description: str, thresholds: Thresholds) -> Panel:
    found = gauge(_STATES, "team", f'status="{status}"')
    return stat(title, 6, f"sum({found})", status, description, "none", thresholds=thresholds)


def _plain(color: str) -> Thresholds:
    """Return the colour of a resource, whatever its value is."""
    return (Step(color, None),)


def _of_each(title: str, description: str, unit: str, what: str, color: str) -> Panel:
    """Return the course of what the environments that use the most of it use."""
    most = f"topk({_CURVES}, {of_environments(what, shown=True)})"
    return graph(
        title,
        16,
        f"{description} The {_CURVES} environments that had the most over the time shown.",
        unit,
        (
            f"{of_environments(what)} and on (environment, project) {most}",
            "{{project}}/{{environment}}",
            color,
        ),
        bounds=(0, None),
        decimals=None if unit == "bytes" else 3,
    )


def _both(*ways: tuple[str, str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield the bytes of each way, and of both: the legend has those where there are none."""
    sums = [f"sum({used(what)})" for _, what, _ in ways]
    for (name, _, color), moved in zip(ways, sums, strict=True):
        yield moved, name, color
    yield " + ".join(sums), WHOLE, REST


_NOW = Row(
    "Now, and in the time shown",
    (
        _number(
            "Running", "running", "Environments of the chosen teams that run.", thresholds=GREEN
        ),
        _number(
            "In error",
            "error",
            "Environments of theirs that failed to start or ended by themselves.",
            thresholds=steps("ok", notice=1),
        ),
        stat(
            "Kills (time shown)",
            6,
            f"sum({rises('oom_kills')})",
            "kills",
            "Processes in containers of theirs that the kernel killed for want of memory in the "
            "time shown, whether the container ended or lives on.",
            "none",
            decimals=0,
            thresholds=_KILLED,
        ),
        stat(
            "Quota",
            6,
            f"max({_share()})",
            "used",
            "Share of what a team may have that it has: the fullest of environments, CPUs, memory "
            "and the month's hours, of all chosen teams. At 100 % more is refused.",
            "percentunit",
            decimals=1,
            thresholds=_FULL,
        ),
        stat(
            "CPU",
            8,
            f"sum({used('cpu_seconds')})",
            "cores",
            "Cores that the containers of the chosen teams use.",
            _CORES,
            decimals=2,
            thresholds=_plain(CPU),
        ),
        stat(
            "Memory",
            8,
            f"sum({used('memory_byte_seconds')})",
            "memory",
            "Memory that they hold.",
            "bytes",
            thresholds=_plain(MEMORY),
        ),
        stat(
            "Cost (time shown)",
            8,
            f"sum by (currency) ({costs.of_teams(RANGE)})",
            "{{currency}}",
            "Of the time shown, at the prices and in the currency of the settings "
            "(VIBEBOX_USAGE_PRICES). Without prices there is none.",
            "none",
            decimals=2,
            thresholds=_plain(COST),
            named=True,
        ),
    ),
)
_ENVIRONMENTS = Row(
    "Environments and quota",
    (
        Panel(
            "Teams",
            "table",
            24,
            "What each team has and may have at the moment, and what it used in the time shown and "
            "what that costs. The quota is the fullest one; GiB h are of memory, and OOM are kills "
            "for want of it.",
            (
                Query(f"max by (team) ({_share()})", "quota"),
                Query(_RUNNING, "running"),
                Query(f"{rises('cpu_seconds')} / {costs.HOUR}", "CPU"),
                Query(f"{rises('memory_byte_seconds')} / {costs.GIB * costs.HOUR}", "memory"),
                Query(rises("oom_kills"), "kills"),
                Query(f"sum by (team, currency) ({costs.of_teams(RANGE)})", "cost"),
            ),
            "percentunit",
            thresholds=_FULL,
            snapshot=True,
            columns=(
                ("quota", "percentunit"),
                ("running", "none"),
                ("CPU h", "none"),
                ("GiB h", "none"),
                ("OOM", "none"),
                ("cost", "none"),
            ),
            digits=(
                ("quota", 1),
                ("running", 0),
                ("CPU h", 3),
                ("GiB h", 3),
                ("OOM", 0),
                ("cost", 2),
            ),
            levels=(("OOM", _KILLED),),
            order=("team", "quota", "running", "CPU h", "GiB h", "OOM", "cost", "currency"),
            height=6,
            empty=NONE,
        ),
        graph(
            "Environments by state",
            16,
            "All environments of the chosen teams, as the database says.",
            "none",
            (f"sum by (status) ({gauge(_STATES, 'team, status')})", "{{status}}"),
            height=8,
            stacked=True,
        ),
        Panel(
            "Quota by team",
            "bargauge",
            8,
            "Share of what a team may have that it has, the ten fullest; of CPUs and memory count "
            "environments that are up, of hours those of this month (UTC), where there is a bound.",
            (Query(f"sort_desc(topk(10, {_in_words(_share())} > 0))", "{{team}} {{resource}}"),),
            "percentunit",
            snapshot=True,
            bounds=(0, 1),
            decimals=1,
            thresholds=_FULL,
            # Ten names, each above its bar.
            height=12,
            empty=NOTHING,
        ),
    ),
)
_USE = Row(
    "Usage",
    (
        _of_each("CPU by environment", "Cores.", _CORES, "cpu_seconds", CPU),
        graph(
            "Network of the teams",
            8,
            "Bytes a second that containers received and sent.",
            "Bps",
            *_both(
                ("received", "network_received_bytes", NETWORK),
                ("sent", "network_sent_bytes", VIOLET),
            ),
            bounds=(0, None),
        ),
        _of_each(
            "Memory by environment",
            "Memory held, without what the kernel would give back; a mean between readings: "
            "peaks are not in it, but in GET /api/v1/usage and the console.",
            "bytes",
            "memory_byte_seconds",
            MEMORY,
        ),
        graph(
            "Disk of the teams",
            8,
            "Bytes a second that containers read from disks and wrote to them; the page cache is "
            "left out.",
            "Bps",
            *_both(("read", "block_read_bytes", DISK), ("written", "block_written_bytes", DISK)),
            bounds=(0, None),
        ),
    ),
)
_FAILURES = Row(
    "Failures",
    (
        events(
            "Kills for want of memory",
            16,
            "By team. A larger memory_limit_mb is the way out, or less in the container.",
            "short",
            (_OOM, "{{team}}", WARNING),
            whole=f"sum({_OOM})",
        ),
        bars(
            "Kills by environment",
            8,
            f"sort_desc(topk({_MOST}, {killed_in_environments()} > 0))",
            "{{project}}/{{environment}}",
            f"Whose processes were killed for want of memory in the time shown, the {_MOST} with "
            "the most kills.",
            "none",
            decimals=0,
            thresholds=_KILLED,
        ),
        _of_each(
            "Kept from the CPU",
            "Seconds that threads waited because of cpu_limit, in each second: at 1 one thread "
            "waits all the time.",
            "suffix:s/s",
            "cpu_throttled_seconds",
            CPU,
        ),
        graph(
            "Use that nobody read",
            8,
            "Share of the time that containers ran whose use is unknown: it ends up in no sum and "
            "no cost.",
            "percentunit",
            (
                f"sum({_UNREAD}) / sum({used('running_seconds')} > 0)",
                WHOLE,
            ),
            (f"{_UNREAD} / ({used('running_seconds')} > 0)", "{{team}}"),
            bounds=(0, 1),
        ),
    ),
)
_COST = Row(
    "Cost and logs",
    (
        graph(
            "Cost an hour",
            16,
            "What the chosen teams use costs an hour, by what it is for, at the prices of now.",
            "suffix:/h",
            (f"{costs.rate_by_kind()} * 3600", "{{kind}} {{currency}}"),
            stacked=True,
            decimals=2,
        ),
        graph(
            "Log volume",
            8,
            "What the stored lines of containers take, by team. Old ones go by age and by size.",
            "bytes",
            (f"sum({_LOGS})", WHOLE),
            (_LOGS, "{{team}}"),
            bounds=(0, None),
        ),
    ),
)

BOARD = Board(
    "team",
    "VibeBox - Team",
    "What a team has, uses, may have and pays. A view and no wall: whoever may see a dashboard can "
    "ask its data source for every team. The walls are the console and GET /api/v1/usage.",
    (_NOW, _ENVIRONMENTS, _USE, _FAILURES, _COST),
    choices=(datasource(), choice("team", "label_values(vibebox_team_quota_limit, team)", ANY)),
    interval="1m",
)
