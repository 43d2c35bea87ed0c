"""What the agent is made of, and what a leader does: the one place where its tasks are listed."""

from dataclasses import dataclass
from typing import Protocol

from app.agent.counting import ExitCounter
from app.agent.dirty import Dirty
from app.agent.drift import Drift
from app.agent.events import EventFollower
from app.agent.housekeeping import Housekeeping
from app.agent.leadership import Term
from app.agent.reconciling import Reconciler
from app.agent.sweep import Sweep
from app.agent.tasks import Task
from app.counts import Counts
from app.engine import Engine
from app.environments.facts import Facts
from app.environments.installation import InstallationId
from app.environments.service import Environments
from app.environments.truth import Truth
from app.processes import Presence
from app.settings import Settings
from app.storage import Database

_ABANDONED_SECONDS = 5.0
_EXPIRED_SECONDS = 5.0
_COUNTING_SECONDS = 0.5
_OLD_SECONDS = 300.0


class LogIntake(Protocol):
    """Takes in what containers print; `follow` is told again and again of who runs.

    Both are called from several threads and return at once; after `close` nothing is stored.
    """

    def follow(self, environment_id: str, container_id: str) -> None: ...

    def close(self) -> None: ...


class NoLogs:
    """Takes nothing in."""

    def follow(self, environment_id: str, container_id: str) -> None:
        """Let the container print."""

    def close(self) -> None:
        """Nothing to give back."""


@dataclass(frozen=True)
class Parts:
    """What lives as long as the agent's process. `facts` is what events have told so far."""

    settings: Settings
    database: Database
    engine: Engine
    presence: Presence
    environments: Environments
    instance: InstallationId
    facts: Facts


@dataclass(frozen=True)
class Work:
    """What a leader does in one term."""

    dirty: Dirty
    reconciler: Reconciler
    follower: EventFollower
    sweep: Sweep
    logs: LogIntake
    tasks: list[Task]


def new_logs(parts: Parts, term: Term, counts: Counts) -> LogIntake:
    """Return what takes in the logs in this term."""
    return NoLogs()


def pull_tasks(parts: Parts, term: Term) -> list[Task]:
    """Return the tasks that pull images for starts that wait for them."""
    return []


def new_work(parts: Parts, term: Term, counts: Counts) -> Work:
    """Return the work of a term; nothing of it runs yet."""
    database, engine = parts.database, parts.engine
    dirty, drift = Dirty(), Drift()
    logs = new_logs(parts, term, counts)
    truth = Truth(
        database,
        engine,
        parts.facts,
        instance=parts.instance,
        guard=term.fence,
        on_drift=drift.note,
    )
    sweep = Sweep(database, engine, dirty, drift, term, instance=parts.instance, follow=logs.follow)
    follower = EventFollower(
        engine,
        parts.facts,
        dirty,
        term,
        instance=parts.instance,
        on_gap=sweep.after_gap,
        on_start=logs.follow,
    )
    return Work(
        dirty=dirty,
        reconciler=Reconciler(truth, dirty, term),
        follower=follower,
        sweep=sweep,
        logs=logs,
        tasks=_tasks(parts, term, counts, sweep),
    )


def _tasks(parts: Parts, term: Term, counts: Counts, sweep: Sweep) -> list[Task]:
    settings = parts.settings
    chores = Housekeeping(parts.database, parts.environments, term, settings.audit_retention_days)
    exits = ExitCounter(parts.database, counts, term)
    return [
        Task("sweep", settings.agent_sweep_interval, sweep.run, sweep.wanted),
        Task("abandoned", _ABANDONED_SECONDS, sweep.heal_abandoned),
        Task("exits", _COUNTING_SECONDS, exits.run),
        Task("expired", _EXPIRED_SECONDS, chores.end_expired),
        Task("old", _OLD_SECONDS, chores.delete_old),
        *pull_tasks(parts, term),
    ]
