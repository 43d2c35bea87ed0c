"""The ends of containers' runs: why each ended, and its row, written once whoever notices first.

A run is a container and Docker's own word for its start. Whoever brings a record to rest writes the
row in the same transaction; the agent counts rows (see `app.agent.counting`), so that no exit is
counted twice or lost.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.engine import ContainerState
from app.storage import ContainerExit, Environment, ExitReason, utc_now

# A shell and Docker report the end by a signal as 128 and its number.
_SIGNALS = 128


@dataclass(frozen=True)
class Run:
    """One run of a container: its identity."""

    container_id: str
    started: str


@dataclass(frozen=True)
class Exit:
    """The end of a run; `code` None where nobody saw it."""

    run: Run
    reason: ExitReason
    code: int | None
    at: datetime

    @property
    def fields(self) -> dict[str, Any]:
        """The columns of an environment that tell of its last exit."""
        return {"exit_reason": self.reason, "exit_code": self.code, "exited_at": self.at}


def run_of(state: ContainerState) -> Run | None:
    """Return the present or last run of the container; None before its first start."""
    return Run(state.id, state.started) if state.started else None


def recorded_run(environment: Environment) -> Run | None:
    """Return the run that the record knows of."""
    if environment.container_id is None or environment.run_started is None:
        return None
    return Run(environment.container_id, environment.run_started)


def reason_of(code: int | None, *, requested: bool, oom: bool) -> ExitReason:
    """Return why a run ended.

    A program that was killed for memory does not make a success a failure: then it was one of
    several, and the others went on.
    """
    if requested:
        return ExitReason.USER
    if code == 0:
        return ExitReason.COMPLETED
    if oom:
        return ExitReason.OOM
    if code is None or code > _SIGNALS:
        return ExitReason.KILLED
    return ExitReason.ERROR


def seen_exit(state: ContainerState, *, requested: bool, oom: bool) -> Exit | None:
    """Return the end of the run that Docker shows; None where there was no run, or it goes on."""
    run = run_of(state)
    if run is None or state.running:
        return None
    reason = reason_of(state.exit_code, requested=requested, oom=oom)
    return Exit(run, reason, state.exit_code, state.finished_at or utc_now())


def unseen_exit(run: Run, *, requested: bool, code: int | None = None) -> Exit:
    """Return the end of a run that nobody saw, but for its exit code perhaps."""
    return Exit(run, reason_of(code, requested=requested, oom=False), code, utc_now())


def note(session: Session, environment_id: str, exits: Iterable[Exit]) -> None:
    """Write the rows of these exits; those that somebody has written already stay as they are."""
    rows = [
        {
            "container_id": ended.run.container_id,
            "run_started": ended.run.started,
            "environment_id": environment_id,
            "reason": ended.reason,
            "exit_code": ended.code,
            "exited_at": ended.at,
            "counted": False,
        }
        for ended in exits
    ]
    if not rows:
        return
    if session.get_bind().dialect.name == "postgresql":
        session.execute(postgresql.insert(ContainerExit).on_conflict_do_nothing(), rows)
    else:
        session.execute(sqlite.insert(ContainerExit).on_conflict_do_nothing(), rows)


def is_noted(session: Session, run: Run) -> bool:
    """Tell whether somebody has written the row of this run."""
    row = exists().where(
        ContainerExit.container_id == run.container_id, ContainerExit.run_started == run.started
    )
    return bool(session.scalar(select(row)))


def ended_by_change(
    known: Run | None,
    requested: bool,
    seen: ContainerState | None,
    after: ContainerState | None,
) -> list[Exit]:
    """Return the ends of runs that a change by VibeBox has caused or come upon.

    known: the run of the record, whose end was `requested` before already or not. seen: the
    container just before the change touched it; after: just after, None where it is gone.
    """
    first = run_of(seen) if seen else None
    last = run_of(after) if after else None
    found: list[Exit | None] = []
    if known is not None and known != first:
        found.append(unseen_exit(known, requested=requested))
    if seen is not None and first is not None:
        if not seen.running:
            asked = requested and first == known
            found.append(seen_exit(seen, requested=asked, oom=seen.oom_killed))
        elif after is None or last != first:
            found.append(Exit(first, ExitReason.USER, None, _end_of(after)))
        else:
            found.append(seen_exit(after, requested=True, oom=False))
    if after is not None and last != first:
        found.append(seen_exit(after, requested=False, oom=after.oom_killed))
    return [ended for ended in found if ended is not None]


def _end_of(after: ContainerState | None) -> datetime:
    """Return when the run before ended: Docker keeps the time beyond the next start."""
    return (after.finished_at if after else None) or utc_now()
