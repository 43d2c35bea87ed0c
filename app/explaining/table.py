"""By metric family: what its series can be told apart by, and where that leads.

An alert is about the labels that it has. Where it has none that names anything, the first family of
its expression with a row here says what to ask Prometheus for: the same events by a further label,
the worst first. Whoever adds an alert on a new family adds a row, or a reason for having none; a
test asks for one of both.
"""

from collections.abc import Callable
from dataclasses import dataclass

from app.explaining.kinds import Culprit, Follow, Kind
from app.metrics import catalogue as families

_REQUESTS, _PROCESS, _SERVER = families.REQUESTS, families.PROCESS, families.SERVER
_SCRAPE = families.registry.scrape
# As in the alerts: what takes long or comes often by design.
_USUAL = 'route!~"/health.*|synthetic|unmatched|.*/(stream|terminal|events)"'
_DURATION = _REQUESTS.duration.name
_START = _PROCESS.start_time.name
_LONG = "1h"


@dataclass(frozen=True)
class Asked:
    """What a query is made of.

    ours: matchers of the service that the alert is of; matchers: those of the selector with them;
    bound: the matcher of the bucket above which an event is slow, empty where there is none.
    """

    name: str
    ours: str
    matchers: str
    window: str
    bound: str


@dataclass(frozen=True)
class Look:
    """One look: `query` returns PromQL, whose worst series names the culprit by its labels `by`."""

    kind: Kind
    by: tuple[str, ...]
    query: Callable[[Asked], str]
    follow: Follow | None = None


@dataclass(frozen=True)
class Row:
    """What to do about a family: looks, of which the first that names something counts.

    needs: checks of dependencies that are looked at first: what is down there explains the rest;
    fixed: what it is where nothing is to be told apart; nobody: why nothing can be named.
    """

    looks: tuple[Look, ...] = ()
    needs: tuple[str, ...] = ()
    fixed: Culprit | None = None
    nobody: str = ""


def _rate(by: str) -> Callable[[Asked], str]:
    return lambda a: f"sum by ({by}) (rate({a.name}{{{a.matchers}}}[{a.window}])) > 0"


def _slow(by: str) -> Callable[[Asked], str]:
    """What has the most events above the bound, else what takes the most time."""

    def query(a: Asked) -> str:
        if not a.bound:
            return f"sum by ({by}) (rate({a.name}_sum{{{a.matchers}}}[{a.window}])) > 0"
        all = f"sum by ({by}) (increase({a.name}_count{{{a.matchers}}}[{a.window}]))"
        fast = f"{a.name}_bucket{{{a.matchers},{a.bound}}}"
        return f"{all} - sum by ({by}) (increase({fast}[{a.window}])) > 0"

    return query


def _now(by: str, name: str) -> Callable[[Asked], str]:
    return lambda a: f"max by ({by}) ({name}{{{a.ours}}}) > 0"


def _busy(a: Asked) -> str:
    """Seconds of threads that each route takes a second."""
    return f"sum by (route) (rate({_DURATION}_sum{{{a.ours},{_USUAL}}}[{a.window}])) > 0"


def _computing(a: Asked) -> str:
    """Routes that take more seconds than half of what the processes compute."""
    computed = f"sum(rate({a.name}{{{a.matchers}}}[{a.window}]))"
    return f"{_busy(a)} > 0.5 * scalar({computed})"


_BY_TIME = Look(Kind.ROUTE, ("route",), _busy, Follow.SLOW)
_BY_CODE = Look(Kind.ROUTE, ("route",), _busy, Follow.CODE)
_STATEMENT = ("operation", "model")
_STATEMENT_TIME = Look(
    Kind.STATEMENT,
    _STATEMENT,
    lambda a: (
        f"sum by (operation, model) (rate({families.DATABASE.statement_duration.name}_sum"
        f"{{{a.ours}}}[{a.window}])) > 0"
    ),
)
_DIRECTORY = Look(
    Kind.METRICS_DIRECTORY,
    ("reason",),
    lambda a: (
        f"max by (reason) (max_over_time({_SCRAPE.directory_trouble.name}{{{a.ours}}}[1m])) > 0"
    ),
)
_SILENT = Look(
    Kind.PROCESS,
    ("worker",),
    lambda a: (
        f"max by (worker) (max_over_time({_START}{{{a.ours}}}[{_LONG}])) "
        f"unless max by (worker) ({_START}{{{a.ours}}})"
    ),
)
_RESTARTS = Look(
    Kind.PROCESS,
    ("worker",),
    lambda a: f"max by (worker) (changes({_START}{{{a.matchers}}}[{a.window}])) > 0",
)
_DEAD_WORKERS = Look(
    Kind.PROCESS,
    ("worker",),
    lambda a: (
        f'max by (worker) (changes({_START}{{{a.ours},worker!~"master|agent"}}[{a.window}])) > 0'
    ),
)
_UNSEEN = Look(
    Kind.INSTANCE,
    ("instance",),
    lambda a: (
        f"max by (instance) (changes(up{{{a.ours}}}[{a.window}])) > 0 "
        f"or max by (instance) (up{{{a.ours}}} == 0) + 1"
    ),
)
_AGENT = Culprit(Kind.PROCESS, "agent")

FAMILIES: dict[str, Row] = {
    _DURATION: Row((Look(Kind.ROUTE, ("route",), _slow("route"), Follow.SLOW),)),
    _REQUESTS.errors.name: Row((Look(Kind.ROUTE, ("route",), _rate("route"), Follow.FAILED),)),
    _REQUESTS.requests.name: Row((Look(Kind.ROUTE, ("route",), _rate("route"), Follow.FAILED),)),
    _REQUESTS.queue_wait.name: Row((_BY_TIME,)),
    _SERVER.threads.name: Row((_BY_TIME,)),
    _SERVER.oldest_request.name: Row(
        nobody="no metric or trace names a request before it has ended; its log lines so far do"
    ),
    families.DATABASE.statement_duration.name: Row(
        (Look(Kind.STATEMENT, _STATEMENT, _slow("operation, model")),)
    ),
    families.DATABASE.pool_utilization.name: Row((_STATEMENT_TIME,)),
    _PROCESS.scheduling_lag.name: Row((_BY_CODE,)),
    _PROCESS.cpu.name: Row(
        (
            Look(Kind.ROUTE, ("route",), _computing, Follow.CODE),
            Look(Kind.PROCESS, ("worker",), _rate("worker")),
        )
    ),
    _PROCESS.memory_usage.name: Row(
        (Look(Kind.PROCESS, ("worker",), _now("worker", _PROCESS.proportional_memory.name)),)
    ),
    _SERVER.worker_exits.name: Row((_DEAD_WORKERS,)),
    _START: Row((_RESTARTS,)),
    _SERVER.client_connections.name: Row(
        (
            Look(
                Kind.CONNECTIONS,
                ("state",),
                lambda a: f"sum by (state) ({a.name}{{{a.matchers}}}) > 0",
            ),
        )
    ),
    families.websocket_connections.name: Row(
        (
            Look(
                Kind.ROUTE,
                ("route",),
                lambda a: (
                    f"sum by (route) (increase({_REQUESTS.requests.name}"
                    f'{{{a.ours},status_code="101"}}[{_LONG}])) > 0'
                ),
            ),
        )
    ),
    families.auth_attempts.name: Row(
        (
            Look(
                Kind.METHOD,
                ("method",),
                lambda a: (
                    f'sum by (method) (rate({a.name}{{{a.ours},status="failure"}}[{a.window}])) > 0'
                ),
                Follow.LOGIN_REFUSALS,
            ),
        )
    ),
    families.registrations.name: Row(
        (Look(Kind.METHOD, ("way",), _rate("way"), Follow.REGISTRATIONS),)
    ),
    families.docker_operation_duration.name: Row(
        (Look(Kind.DOCKER_OPERATION, ("operation",), _slow("operation")),), needs=("docker",)
    ),
    families.environment_start_duration.name: Row(
        (
            Look(
                Kind.DOCKER_OPERATION,
                ("operation",),
                lambda a: (
                    f"sum by (operation) (rate({families.docker_operation_duration.name}_sum"
                    f"{{{a.ours}}}[{a.window}])) > 0"
                ),
            ),
        ),
        needs=("docker",),
    ),
    families.environments_total.name: Row(
        (Look(Kind.ENVIRONMENT, ("status",), lambda a: f"{a.name}{{{a.matchers}}}", Follow.STATUS),)
    ),
    families.environment_exits.name: Row(
        (Look(Kind.ENVIRONMENT, ("reason",), _rate("reason"), Follow.EXITS),)
    ),
    families.environments.name: Row(
        needs=("docker", "database"),
        nobody="it is a state of all environments together, which none of them makes",
    ),
    families.environment_drift.name: Row(
        needs=("docker",),
        nobody="the agent reports how many records differ, and names them once they are mended: "
        "look for `record mended` in its log",
    ),
    families.agent_leading.name: Row(needs=("database",), fixed=_AGENT),
    families.agent_sweep_age.name: Row(
        needs=("database", "docker"), fixed=Culprit(Kind.TASK, "sweep")
    ),
    families.probe_failed_step.name: Row(
        (
            Look(
                Kind.STEP,
                ("step",),
                lambda a: f'max by (step) ({a.name}{{{a.ours},step!="none"}}) > 0',
            ),
        )
    ),
    families.probe_success_age.name: Row(
        nobody="the step at which the synthetic user fails is a label of the alert"
    ),
    families.probe_interval.name: Row(nobody="it is a setting"),
    _SCRAPE.processes.name: Row((_DIRECTORY, _SILENT)),
    _SCRAPE.directory_trouble.name: Row((_DIRECTORY,)),
    "scrape_duration_seconds": Row(
        (Look(Kind.COLLECTOR, ("collector",), _now("collector", _SCRAPE.collect_duration.name)),),
        needs=("database",),
    ),
    "up": Row((_UNSEEN,)),
}

LABELS: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "check": (Kind.DEPENDENCY, ()),
    "task": (Kind.TASK, ("database", "docker")),
    "limit": (Kind.LIMIT, ()),
    "collector": (Kind.COLLECTOR, ("database",)),
    "operation": (Kind.DOCKER_OPERATION, ("docker",)),
    "worker": (Kind.PROCESS, ()),
    "route": (Kind.ROUTE, ()),
    "step": (Kind.STEP, ("database", "docker")),
}
"""What an alert is about by a label of its own, and which dependencies explain it where down."""

PARTS: dict[str, Row] = {"part": Row((_DIRECTORY, _UNSEEN))}
"""Labels that name a part of the metrics that is missing."""


def name_of(kind: Kind, values: tuple[str, ...]) -> str:
    """Return the id of what these label values name; a statement as its span is named."""
    if kind is Kind.STATEMENT:
        return f"{values[0].upper()} {values[1]}"
    return " ".join(values)
