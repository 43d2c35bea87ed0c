"""What is done to a service, and the alerts that have to follow: these and no others."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.end_to_end.alerts import harm
from tests.end_to_end.alerts.stack import Stack

Make = Callable[[Stack], AbstractContextManager[None]]
LASTING = "BudgetBurn"
"""Alerts that last by design: their short windows are of half an hour to six hours."""
MACHINE = frozenset({"HighEventLoopLag"})
"""What fires in truth, of no fault of ours, while other tests use the same cores."""


@dataclass(frozen=True)
class Fault:
    """A fault, and what follows: `fires`, of which nobody is told of the `inhibited`.

    `also` may follow, or not yet, by how long the machine took. `env` are settings of the service.
    """

    make: Make
    fires: frozenset[str]
    inhibited: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()
    env: Mapping[str, str] = field(default_factory=dict)

    def resolves(self, patient: bool) -> set[str]:
        """Return those that have to be over soon after the fault; the fast budgets if patient."""
        last = f"{LASTING}Slow" if patient else LASTING
        return {name for name in self.fires if last not in name}


def alerts(*names: str) -> frozenset[str]:
    return frozenset(names)


def burning(objective: str) -> frozenset[str]:
    return alerts(f"{objective}BudgetBurnFast", f"{objective}BudgetBurnSlow")


GUESSED = Fault(
    harm.passwords_guessed,
    alerts("PossibleBruteForceAttack", "HighAuthFailureRate"),
    alerts("HighAuthFailureRate"),
)
STOPPED = Fault(harm.service_stopped, alerts("ServiceDown"))
KILLED = Fault(harm.workers_killed, alerts("WorkersDying"))
HELD = Fault(harm.interpreter_held, alerts("HighEventLoopLag"))
ENGINE = Fault(
    harm.engine_gone,
    alerts("HighDockerFailureRate", "NoRunningEnvironments") | burning("Availability"),
    alerts("AvailabilityBudgetBurnSlow"),
)
SOCKETS = Fault(
    # To open one, there must be an environment; nobody starts it.
    harm.sockets_opened,
    alerts("HighWebSocketConnections"),
    also=alerts("NoRunningEnvironments"),
)
MEMORY = Fault(harm.memory_filled, alerts("HighMemoryUsage"))
CPU = Fault(
    harm.cpu_burned,
    alerts("HighCPUUsage"),
    # A service without CPU answers late, and a scrape may have to leave something out.
    also=alerts("MetricsCollectErrors", "HighAPILatency") | burning("Latency"),
)
DATABASE = Fault(
    harm.database_gone,
    alerts("NotReady", "MetricsCollectErrors", "VeryHighAPIErrorRate", "HighAPIErrorRate")
    | burning("Availability"),
    alerts("HighAPIErrorRate", "AvailabilityBudgetBurnSlow"),
)
TABLE = Fault(
    harm.table_slow,
    alerts(
        "VerySlowDatabaseQueries",
        "SlowDatabaseQueries",
        "VeryHighAPILatency",
        "HighAPILatency",
        "RequestThreadsSaturated",
    )
    | burning("Latency"),
    alerts("SlowDatabaseQueries", "HighAPILatency", "LatencyBudgetBurnSlow"),
)
CONTAINERS = Fault(
    harm.containers_harmed,
    alerts("EnvironmentsKilledByMemory", "HighEnvironmentErrorRate", "EnvironmentStatusDrift"),
    # The one that runs is paused.
    also=alerts("NoRunningEnvironments"),
)
POOL = Fault(
    harm.connections_taken,
    alerts("DatabasePoolExhausted"),
    # Where all eight meet the same worker, they wait for each other, and a scrape for them.
    also=alerts("MetricsCollectErrors") | burning("Latency"),
    env={"VIBEBOX_DB_POOL_SIZE": "2", "VIBEBOX_DB_POOL_MAX": "2"},
)
FAULTS: dict[str, Fault] = {
    name.lower(): value for name, value in list(globals().items()) if isinstance(value, Fault)
}
UNMADE = {
    "ScrapeNearTimeout": "its 5 s are a threshold, which is not divided: a scrape has 1 s here",
    "SlowDockerOperations": "its 30 s are a threshold, which is not divided",
    "SlowEnvironmentStarts": "its 30 s are a threshold, which is not divided",
}
"""Alerts that only promtool has seen fire, and why."""
