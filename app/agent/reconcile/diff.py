"""What is wrong with a record, given what Docker says of its container. Does no I/O."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.agent.reconcile.event_history import ContainerEventHistory
from app.domain.environments.containers import published
from app.domain.environments.exits import Exit, Run, reason_of, recorded_run, run_of, seen_exit
from app.engine import ContainerState
from app.storage import AT_REST, Environment, EnvironmentStatus, ExitReason, utc_now

_NO_FAILURE = (ExitReason.USER, ExitReason.COMPLETED)

# Docker gives a container up to 100 s of grace (see VIBEBOX_STOP_GRACE), and needs a moment itself.
_PATIENCE_SECONDS = 120.0

REMOVED = (
    "The container was removed outside VibeBox; start makes a new one "
    "(files in the volume are kept)."
)
_SENTENCES = {
    ExitReason.OOM: "The container ran out of its memory and ended {code}; raise the memory limit "
    "or use less, then start the environment again.",
    ExitReason.ERROR: "The container's command ended {code}; its logs say why. Mend the cause and "
    "start the environment again.",
    ExitReason.KILLED: "The container was killed outside VibeBox and ended {code}; start the "
    "environment again.",
}


@dataclass
class Patch:
    """Changes that make a record true, and the exits that it has not told of."""

    status: EnvironmentStatus
    changes: dict[str, Any] = field(default_factory=dict)
    exits: list[Exit] = field(default_factory=list)

    def differs(self, environment: Environment) -> bool:
        """Tell whether the status of the record is not the true one."""
        return self.status != environment.status

    def is_needed(self, environment: Environment) -> bool:
        """Tell whether any column is wrong; a missing row of an exit is not a column."""
        wrong = (getattr(environment, name) != value for name, value in self.changes.items())
        return self.differs(environment) or any(wrong)


def diff(
    environment: Environment, state: ContainerState | None, ended: list[Exit], now: datetime
) -> Patch:
    """Return what makes the record true. It must not be in a transition that somebody still holds.

    state: the container as Docker shows it, None where it is gone. ended: what `ended_runs` found,
    each as its row tells it where there is one. now: by the clock of the database, as the times of
    the record.
    """
    patch = _patch(environment, state, ended, now)
    patch.exits = ended
    for last in ended[-1:]:
        patch.changes |= last.fields
    return patch


def ended_runs(
    environment: Environment, state: ContainerState | None, event_history: ContainerEventHistory
) -> list[Exit]:
    """Return the ends of runs that Docker shows or that must have been, the older one first."""
    known, run = recorded_run(environment), run_of(state) if state else None
    found = []
    if known is not None and known != run:
        next_start = run.started if run and run.container_id == known.container_id else None
        ending = event_history.lookup(known, next_start)
        reason = reason_of(ending.code, requested=environment.end_requested, oom=ending.oom)
        found.append(Exit(known, reason, ending.code, utc_now()))
    if state is None or run is None or state.running or _predates(environment, state):
        return found
    ending = event_history.lookup(run)
    requested = environment.end_requested and run == known
    last = seen_exit(state, requested=requested, oom=ending.oom if ending.died else None)
    return found if last is None else [*found, last]


def _patch(
    environment: Environment, state: ContainerState | None, ended: list[Exit], now: datetime
) -> Patch:
    if state is None:
        return _gone(environment, ended)
    run = run_of(state)
    changes: dict[str, Any] = {
        "container_id": state.id,
        "run_started": run.started if run else None,
        "published_ports": published(state),
    }
    if state.running:
        status = EnvironmentStatus.PAUSED if state.paused else EnvironmentStatus.RUNNING
        changes |= {"error": None, **_still_asked(environment, run, now)}
        return Patch(status, changes)
    if environment.status in AT_REST and not (ended and ended[-1].run == run):
        return Patch(environment.status, changes)
    if environment.status in AT_REST and run == recorded_run(environment):
        return Patch(environment.status, changes)
    if run is None:  # made and never started
        kept = environment.status if environment.status in AT_REST else EnvironmentStatus.STOPPED
        return Patch(kept, changes)
    return _at_rest(ended[-1], changes)


def _at_rest(ended: Exit, changes: dict[str, Any]) -> Patch:
    if ended.reason in _NO_FAILURE:
        return Patch(EnvironmentStatus.STOPPED, {**changes, "error": None, "end_requested": False})
    code = "without an exit code" if ended.code is None else f"with exit code {ended.code}"
    error = _SENTENCES[ended.reason].format(code=code)
    return Patch(EnvironmentStatus.ERROR, {**changes, "error": error, "end_requested": False})


def _gone(environment: Environment, ended: list[Exit]) -> Patch:
    changes: dict[str, Any] = {
        "container_id": None,
        "run_started": None,
        "published_ports": [],
        "end_requested": False,
    }
    if environment.status in AT_REST:
        return Patch(environment.status, changes)
    if environment.status in (EnvironmentStatus.RUNNING, EnvironmentStatus.PAUSED) and not (
        ended and ended[-1].reason is ExitReason.USER
    ):
        return Patch(EnvironmentStatus.ERROR, {**changes, "error": REMOVED})
    return Patch(EnvironmentStatus.STOPPED, {**changes, "error": None})


def _still_asked(environment: Environment, run: Run | None, now: datetime) -> dict[str, bool]:
    """Forget a request to end that was not carried out in all the time that Docker had for it.

    An abandoned transition is older than that; so is, later, the end of one that timed out.
    """
    if not environment.end_requested:
        return {}
    age = (now - environment.status_changed_at).total_seconds()
    lasting = run == recorded_run(environment) and age < _PATIENCE_SECONDS
    return {} if lasting else {"end_requested": False}


def _predates(environment: Environment, state: ContainerState) -> bool:
    """Tell whether the end is from before releases that recorded runs: then it is no news."""
    return (
        environment.status in AT_REST
        and environment.run_started is None
        and environment.container_id == state.id
        and state.finished_at is not None
        and state.finished_at <= environment.status_changed_at
    )
