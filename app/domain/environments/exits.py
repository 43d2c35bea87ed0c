"""The ends of containers' runs: why each ended, written once by whoever notices first.

A run is a container and Docker's own word for its start. Whoever brings a record to rest writes the
row in the same transaction, and what the record tells of its last exit is what that row says: the
reason is derived once, whatever is found out or happens later. The agent counts rows (see
`app.agent.exit_counter`), so that no exit is counted twice or lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import Session

from app.engine import ContainerState
from app.storage import ContainerExit, Environment, ExitReason, insert_missing, utc_now

# A shell and Docker report the end by a signal as 128 and its number.
_SIGNALS = 128
_SIGKILL = _SIGNALS + 9


@dataclass(frozen=True)
class Run:
    """One run of a container: its identity."""

    container_id: str
    started: str


@dataclass(frozen=True)
class Exit:
    """The end of a run; `code` None where nobody saw it.

    `oom_killed` is Docker's flag then, None where nobody saw it; `by_flag` says that the reason is
    concluded from it alone: it stays from any earlier run in which any process ran out of memory.
    `is_written`: there is a row that says so.
    """

    run: Run
    reason: ExitReason
    code: int | None
    at: datetime
    oom_killed: bool | None = None
    by_flag: bool = False
    is_written: bool = False

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
    """Return why a run ended; `oom`: memory ran out right before that.

    Who is killed for memory ends by SIGKILL. Where a container's command ends with another code, a
    program of it was killed, and the command went on, well or not.
    """
    if requested:
        return ExitReason.USER
    if code == 0:
        return ExitReason.COMPLETED
    if code == _SIGKILL and oom:
        return ExitReason.OOM
    if code is None or code > _SIGNALS:
        return ExitReason.KILLED
    return ExitReason.ERROR


def seen_exit(state: ContainerState, *, requested: bool, oom: bool | None = None) -> Exit | None:
    """Return the end of the run that Docker shows; None where there was no run, or it goes on.

    oom: whether events told that memory ran out right before; None where none were heard of the
    end, so that Docker's flag has to do.
    """
    run = run_of(state)
    if run is None or state.running:
        return None
    ran_out = state.oom_killed if oom is None else oom
    reason = reason_of(state.exit_code, requested=requested, oom=ran_out)
    return Exit(
        run,
        reason,
        state.exit_code,
        state.finished_at or utc_now(),
        oom_killed=state.oom_killed,
        by_flag=oom is None and reason is ExitReason.OOM,
    )


def unseen_exit(run: Run, *, requested: bool, code: int | None = None) -> Exit:
    """Return the end of a run that nobody saw, but for its exit code perhaps."""
    return Exit(run, reason_of(code, requested=requested, oom=False), code, utc_now())


def record_exits(session: Session, environment: Environment, exits: Sequence[Exit]) -> None:
    """Write the rows of these exits, and have the record tell what that of the last one says.

    Rows that somebody has written already stay as they are. Call it in the transaction that has
    changed or deleted the record, and with it the columns of `fields` of the last exit.
    """
    for ended in exits:
        insert_missing(session, ContainerExit, [_row(session, environment, ended)])
    for last in exits[-1:]:
        told = as_kept(session, last)
        if told.fields != last.fields:
            session.execute(
                update(Environment).where(Environment.id == environment.id).values(told.fields)
            )


def as_kept(session: Session, ended: Exit) -> Exit:
    """Return the exit as its row tells it; as it is where nobody has written that."""
    row = session.get(ContainerExit, (ended.run.container_id, ended.run.started))
    if row is None:
        return ended
    return Exit(ended.run, row.reason, row.exit_code, row.exited_at, is_written=True)


def _row(session: Session, environment: Environment, ended: Exit) -> dict[str, Any]:
    reason = ended.reason
    if ended.by_flag and _had_flag_before(session, ended.run):
        reason = reason_of(ended.code, requested=False, oom=False)
    return {
        "container_id": ended.run.container_id,
        "run_started": ended.run.started,
        "environment_id": environment.id,
        "reason": reason,
        "exit_code": ended.code,
        "exited_at": ended.at,
        "oom_killed": ended.oom_killed,
        "counted": False,
        "is_synthetic": environment.is_synthetic,
    }


def _had_flag_before(session: Session, run: Run) -> bool:
    """Tell whether the container had Docker's flag at the end of another run."""
    row = exists().where(
        ContainerExit.container_id == run.container_id,
        ContainerExit.run_started != run.started,
        or_(ContainerExit.oom_killed.is_(True), ContainerExit.reason == ExitReason.OOM),
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
            found.append(seen_exit(seen, requested=asked))
        elif after is None or last != first:
            found.append(Exit(first, ExitReason.USER, None, _end_of(after)))
        else:
            found.append(seen_exit(after, requested=True))
    if after is not None and last != first:
        found.append(seen_exit(after, requested=False))
    return [ended for ended in found if ended is not None]


def _end_of(after: ContainerState | None) -> datetime:
    """Return when the run before ended: Docker keeps the time beyond the next start."""
    return (after.finished_at if after else None) or utc_now()
