"""What is done to a service, and the alerts that have to follow: these and no others."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from app.explaining.kinds import Kind
from tests.backends import busybox
from tests.end_to_end.alerts import beside, harm
from tests.end_to_end.alerts.beside import Beside
from tests.end_to_end.alerts.stack import Stack

Make = Callable[[Stack], AbstractContextManager[None]]
LASTING = "BudgetBurn"
"""Alerts that last by design: their short windows are of half an hour to six hours."""
MACHINE = frozenset({"HighEventLoopLag"})
"""What fires in truth, of no fault of ours, while other tests use the same cores."""
LATE = frozenset({"ServiceDown"})
"""The same beside a fault: two scrapes in a row that are not answered within the second they have
here. Whoever watches that nothing fires does not take it so lightly."""


@dataclass(frozen=True)
class Fault:
    """A fault, and what follows: `fires`, of which nobody is told of the `inhibited`.

    `also` may follow, or not yet, by how long the machine took. `gone` are series that end with it,
    so that an alert on them cannot fire, and `source` is what it ends of monitoring/rules/sources:
    no panel shows its last number any more. `env` are settings of the service. `factor` is the
    largest that the rules' durations can be divided by, where something has a pace of its own.

    `culprit` is what an explanation of each of its alerts has to name, unless `culprits` says
    otherwise of an alert; `beside` are three more faults that it must not be taken for.
    """

    make: Make
    fires: frozenset[str]
    inhibited: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()
    gone: tuple[str, ...] = ()
    source: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    factor: float = 60
    culprit: "Injected | None" = None
    culprits: Mapping[str, "Injected"] = field(default_factory=dict)
    beside: Beside | None = None

    def injected(self, alert: str) -> "Injected | None":
        """Return what is behind an alert of this fault; None where it is nothing in particular."""
        return self.culprits.get(alert, self.culprit)

    def resolves(self, patient: bool) -> set[str]:
        """Return those that have to be over soon after the fault; the fast budgets if patient."""
        last = f"{LASTING}Slow" if patient else LASTING
        return {name for name in self.fires if last not in name}


Ids = Callable[[Stack], Collection[str]]


@dataclass(frozen=True)
class Injected:
    """What a fault is done to; `ids` returns those of which any is right."""

    kind: Kind
    ids: Ids


def named(kind: Kind, *ids: str) -> Injected:
    """Return what is known before the fault is made."""
    return Injected(kind, lambda _stack: ids)


def harmed(kind: Kind) -> Injected:
    """Return what the fault notes while it is made."""
    return Injected(kind, lambda stack: stack.harmed.get(kind, ()))


def alerts(*names: str) -> frozenset[str]:
    return frozenset(names)


def burning(objective: str) -> frozenset[str]:
    return alerts(f"{objective}BudgetBurnFast", f"{objective}BudgetBurnSlow")


CLIENT = named(Kind.ADDRESS, "127.0.0.1")
TARGET = Injected(Kind.INSTANCE, lambda stack: [f"127.0.0.1:{stack.way.port}"])
MASTER = named(Kind.PROCESS, "master")
AGENT_ITSELF = named(Kind.PROCESS, "agent")
DOCKER, POSTGRESQL = named(Kind.DEPENDENCY, "docker"), named(Kind.DEPENDENCY, "database")
TEAMS = named(Kind.STATEMENT, "SELECT teams")

GUESSED = Fault(
    harm.passwords_guessed,
    alerts("PossibleBruteForceAttack", "HighAuthFailureRate", "SlowBruteForceAttack"),
    alerts("HighAuthFailureRate", "SlowBruteForceAttack"),
    culprit=CLIENT,
    beside=beside.addresses_mistaken,
)
GUESSED_SLOWLY = Fault(
    harm.passwords_guessed_slowly,
    alerts("SlowBruteForceAttack"),
    culprit=CLIENT,
    beside=beside.addresses_mistaken,
)
STOPPED = Fault(
    harm.service_stopped,
    alerts("ServiceDown"),
    gone=("vibebox_workers",),
    source="target",
    culprit=TARGET,
)
CRASHING = Fault(
    harm.service_crashing,
    alerts("ServiceRestarting"),
    # By how much of a start a scrape meets; here it takes minutes of the rules' time.
    also=alerts("ServiceDown", "ServiceFlapping"),
    # Four starts have to fit into what is left of half an hour.
    factor=20,
    culprit=MASTER,
    culprits={"ServiceDown": TARGET, "ServiceFlapping": TARGET},
)
FLAPPING = Fault(
    harm.target_flapping,
    alerts("ServiceFlapping"),
    also=alerts("ServiceDown"),
    culprit=TARGET,
)
KILLED = Fault(
    harm.workers_killed,
    alerts("WorkersDying"),
    culprit=harmed(Kind.PROCESS),
    beside=beside.workers_ending,
)
HELD = Fault(
    harm.interpreter_held,
    alerts("HighEventLoopLag"),
    culprit=named(Kind.ROUTE, "/hold/<int:ms>"),
    beside=beside.routes_slow,
)
SPINNING = Fault(
    harm.thread_spinning,
    alerts("ProcessCPUSaturated"),
    culprit=Injected(Kind.PROCESS, harm.busiest_worker),
    beside=beside.routes_slow,
)
DESCRIPTORS = Fault(
    harm.descriptors_taken,
    alerts("HighFileDescriptorUsage"),
    culprit=harmed(Kind.PROCESS),
)
CONNECTIONS = Fault(
    harm.connections_idle,
    alerts("HighClientConnections"),
    also=alerts("HighFileDescriptorUsage"),
    culprit=named(Kind.CONNECTIONS, "idle"),
)
METRICS = Fault(
    harm.metrics_disk_full,
    alerts("MetricsHidden", "MetricsDirectoryFailing", "MetricsMissing"),
    # The server is started anew for it, on another disk than the agent.
    also=alerts("ServiceDown"),
    culprit=named(Kind.METRICS_DIRECTORY, "full"),
    culprits={"ServiceDown": TARGET},
)
SIGN_UPS = Fault(
    harm.accounts_made,
    alerts("UnusualSignUps"),
    culprit=CLIENT,
    beside=beside.addresses_joining,
)
AGENT = Fault(
    harm.agent_killed,
    alerts("AgentNotLeading"),
    gone=('vibebox_process_start_time_seconds{worker="agent"}',),
    source="agent",
    culprit=AGENT_ITSELF,
)
AGENT_FROZEN = Fault(
    harm.agent_frozen,
    alerts("AgentNotLeading", "ProcessSilent"),
    culprit=AGENT_ITSELF,
)
AGENT_CRASHING = Fault(
    harm.agent_crashing,
    alerts("AgentRestarting"),
    # A lease lasts for ten seconds, which are minutes of the rules' time.
    also=alerts("AgentNotLeading"),
    factor=20,
    culprit=AGENT_ITSELF,
)
AGENT_FAILING = Fault(
    # A round a second, and more than 30 of them have to fail in what is left of 15 minutes.
    harm.agent_fails_at_extensions,
    alerts("AgentTaskFailing"),
    factor=15,
    culprit=named(Kind.TASK, "extensions"),
    beside=beside.tasks_failing,
)
NIGHT = Fault(
    harm.everything_fails_at_night,
    burning("Availability"),
    alerts("AvailabilityBudgetBurnSlow"),
    culprit=named(Kind.ROUTE, "/fail"),
    beside=beside.routes_failing,
)
ENGINE = Fault(
    harm.engine_gone,
    alerts("NotReady", "HighDockerFailureRate") | burning("Availability"),
    alerts("AvailabilityBudgetBurnSlow"),
    also=alerts("NoRunningEnvironments"),
    culprit=DOCKER,
    beside=beside.routes_failing,
)
ENGINE_HUNG = Fault(
    harm.engine_hung,
    alerts("NotReady"),
    also=alerts("HighDockerFailureRate"),
    culprit=DOCKER,
    beside=beside.routes_slow,
)
ENGINE_IDLE = Fault(
    harm.engine_that_only_answers,
    alerts("NotReady"),
    also=alerts("HighDockerFailureRate", "NoRunningEnvironments"),
    culprit=DOCKER,
    beside=beside.routes_slow,
)
ENGINE_OPTIONAL = Fault(
    harm.engine_gone,
    alerts("DependencyUnavailable", "HighDockerFailureRate") | burning("Availability"),
    alerts("AvailabilityBudgetBurnSlow"),
    also=alerts("NoRunningEnvironments"),
    env={"VIBEBOX_DOCKER_REQUIRED": "false"},
    culprit=DOCKER,
    beside=beside.routes_failing,
)
FULL = Fault(
    harm.host_is_full,
    alerts("SharedLimitReached"),
    # Nobody starts those that there are.
    also=alerts("NoRunningEnvironments"),
    env={"VIBEBOX_HOST_ENVIRONMENTS": str(harm.HOST_ENVIRONMENTS)},
    culprit=named(Kind.LIMIT, "host_environments"),
)
RESTING = Fault(harm.nothing_started, alerts("NoRunningEnvironments"))
SOCKETS = Fault(
    # To open one, there must be an environment; nobody starts it.
    harm.sockets_opened,
    alerts("HighWebSocketConnections"),
    # A worker that has all of its own refuses one, and which is asked is the kernel's choice.
    also=alerts("NoRunningEnvironments", "SharedLimitReached"),
    culprit=named(Kind.ROUTE, harm.STATUS_STREAM),
)
# A start takes seconds, which are minutes of the rules' time.
MEMORY = Fault(
    harm.memory_filled,
    alerts("HighMemoryUsage"),
    also=alerts("ServiceDown"),
    culprit=harmed(Kind.PROCESS),
)
MEMORY_SHARED = Fault(
    harm.shared_memory_filled,
    alerts("HighMemoryUsage"),
    also=alerts("ServiceDown", "AgentNotLeading"),
    culprit=harmed(Kind.PROCESS),
)
CPU = Fault(
    harm.cpu_burned,
    alerts("HighCPUUsage"),
    # A service without CPU answers late, and a scrape may have to leave something out.
    also=alerts("MetricsCollectErrors", "HighAPILatency", "RequestsWaitForThreads")
    | burning("Latency"),
    culprit=named(Kind.ROUTE, "/burn/<int:ms>"),
    beside=beside.routes_slow,
)
DATABASE = Fault(
    harm.database_gone,
    alerts("NotReady", "MetricsCollectErrors", "VeryHighAPIErrorRate", "HighAPIErrorRate")
    | burning("Availability"),
    alerts("HighAPIErrorRate", "AvailabilityBudgetBurnSlow"),
    # Callers without a pause, who are refused at once, may keep its threads and a core busy.
    also=alerts("RequestThreadsSaturated", "RequestsWaitForThreads", "HighCPUUsage"),
    gone=("vibebox_environments", "vibebox_agent_leading", "vibebox_environment_drift"),
    source="database",
    culprit=POSTGRESQL,
)
DATABASE_READ_ONLY = Fault(
    # A lease cannot be renewed there, so that nobody leads.
    harm.database_read_only,
    alerts("NotReady", "AgentNotLeading"),
    # Connections are cut to begin it; what writes fails.
    also=alerts("MetricsCollectErrors", "VeryHighAPIErrorRate", "HighAPIErrorRate")
    | burning("Availability"),
    culprit=POSTGRESQL,
)
TABLE = Fault(
    harm.table_slow,
    alerts(
        "VerySlowDatabaseQueries",
        "SlowDatabaseQueries",
        "VeryHighAPILatency",
        "HighAPILatency",
        "RequestThreadsSaturated",
        "RequestsWaitForThreads",
    )
    | burning("Latency"),
    alerts("SlowDatabaseQueries", "HighAPILatency", "LatencyBudgetBurnSlow"),
    culprit=TEAMS,
    beside=beside.statements_slow,
)
CONTAINERS = Fault(
    harm.containers_harmed,
    alerts("EnvironmentsKilledByMemory", "HighEnvironmentErrorRate", "EnvironmentStatusDrift"),
    # The one that runs is paused.
    also=alerts("NoRunningEnvironments"),
    culprit=harmed(Kind.ENVIRONMENT),
    beside=beside.environments_ending,
)
POOL = Fault(
    harm.connections_taken,
    alerts("DatabasePoolExhausted"),
    # Where all eight meet the same worker, they wait for each other, and a scrape for them.
    also=alerts("MetricsCollectErrors") | burning("Latency"),
    env={"VIBEBOX_DB_POOL_SIZE": "2", "VIBEBOX_DB_POOL_MAX": "2"},
    culprit=TEAMS,
    beside=beside.statements_slow,
)
USERS = Fault(
    # A round every ten seconds, which are minutes of the rules' time; three of them have to fail.
    harm.users_cut_off,
    alerts("SyntheticUserFailing"),
    env={
        "VIBEBOX_PROBE": "agent",
        "VIBEBOX_PROBE_IMAGE": busybox.TAG,
        "VIBEBOX_PROBE_INTERVAL": "10",
        "VIBEBOX_PROBE_STEP_TIMEOUT": "2",
        "VIBEBOX_STOP_GRACE": "0",
    },
    culprit=named(Kind.STEP, "sign_in"),
)
FAULTS: dict[str, Fault] = {
    name.lower(): value for name, value in list(globals().items()) if isinstance(value, Fault)
}
UNNAMED = {
    "NoRunningEnvironments": "it is a state of all environments, which none of them makes; where "
    "Docker Engine is down, that is named",
    "EnvironmentStatusDrift": "the agent reports how many records differ, and not which",
}
"""Alerts whose explanation names nothing in particular, and why."""
UNMADE = {
    "Watchdog": "it always fires; tests/end_to_end/test_alerting.py cuts its way",
    "ScrapeNearTimeout": "its 5 s are a threshold, which is not divided: a scrape has 1 s here",
    "SlowDockerOperations": "its 30 s are a threshold, which is not divided",
    "SlowEnvironmentStarts": "its 30 s are a threshold, which is not divided",
    "AgentTaskStuck": "its 900 s are a threshold, which is not divided",
    "EnvironmentsNotCompared": "its 300 s are a threshold, which is not divided",
    "RequestStuck": "its 300 s are a threshold, which is not divided",
}
"""Alerts that only promtool has seen fire, and why."""
