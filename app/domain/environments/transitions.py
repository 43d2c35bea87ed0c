"""Changes of an environment's status, by compare-and-swap in the database.

Of two that want to change it at once, one wins; the other gets a conflict. A change that calls
Docker holds the environment in a status of transition (starting, stopping) meanwhile, and no
database connection. A process that dies there leaves the transition behind; once the process is
known to be dead (see `app.domain.heartbeat`), the agent heals it, or the next change takes it over.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from app.core.errors import EnvironmentConflictError, EnvironmentNotFoundError, StorageError
from app.core.trace_context import traceparent
from app.domain import audit
from app.domain.authorization import Action, Identity, environment_for
from app.domain.environments.exits import Exit, ended_by_change, record_exits, recorded_run, run_of
from app.domain.heartbeat import Heartbeat, alive
from app.domain.quotas.checks import Checks
from app.domain.sessions import rows as session_rows
from app.engine import ContainerState
from app.storage import (
    Database,
    Environment,
    EnvironmentStatus,
    ImagePull,
    Project,
    PullStatus,
    db_now,
)

TRANSITIONAL = (EnvironmentStatus.STARTING, EnvironmentStatus.STOPPING)
OPEN_PULLS = (PullStatus.PENDING, PullStatus.PULLING)


class Transition:
    """An environment that one caller holds; `environment` is its row as it was before.

    `seen` is its container as the caller found it, before it changed anything; `known` the run
    that the record knew of. `pull` is the id of the pull that the start waited for, if it did.
    """

    def __init__(
        self,
        environment: Environment,
        through: EnvironmentStatus,
        since: datetime,
        pull: str | None = None,
    ):
        self.environment = environment
        self.through = through
        self.since = since
        self.pull = pull
        self.known = recorded_run(environment)
        self.seen: ContainerState | None = None

    def exits(self, after: ContainerState | None) -> list[Exit]:
        """Return the runs that ended; `after` is the container now, None where it is gone."""
        return ended_by_change(self.known, self.environment.end_requested, self.seen, after)


class Transitions:
    """Begins and ends transitions, in the name of this process."""

    def __init__(self, database: Database, heartbeat: Heartbeat, quotas: Checks) -> None:
        self._database = database
        self._quotas = quotas
        self._heartbeat = heartbeat
        self._dropped: set[tuple[str, datetime]] = set()
        heartbeat.on_seen.append(self._release)

    def begin(
        self,
        identity: Identity | None,
        environment_id: str,
        allowed: Collection[EnvironmentStatus],
        through: EnvironmentStatus,
        *,
        action: Action,
        audited: str,
        ends: bool | None = None,
        fields: Collection[str] = (),
    ) -> Transition:
        """Take the environment from one of the `allowed` statuses into the transition `through`.

        `identity` None is VibeBox itself. `audited` names the change in the audit log, `fields`
        what it changes; `ends` says that a container that ends from now on does so because the user
        asked for it (None: as before).

        Raises: EnvironmentNotFoundError, PermissionDeniedError, QuotaExceededError, or
        EnvironmentConflictError where it is in another status, or where somebody else was quicker.
        """
        transition: Transition | None = None
        try:
            with self._database.writing() as session:
                # Locked, so that what is read here is what the update finds.
                if identity is None:
                    environment = _own(session, environment_id)
                else:
                    environment = environment_for(
                        session, identity, environment_id, action, lock=True
                    )
                details = {"fields": sorted(fields)} if fields else {}
                audit_change(session, identity, audited, environment, environment.status, **details)
                session.flush()
                session.expunge(environment)
                since = self._take(session, environment, allowed, through, ends=ends)
                transition = Transition(environment, through, since)
                if through is EnvironmentStatus.STARTING:
                    self._quotas.check_start(session, identity, environment)
        except StorageError:
            if transition is not None:
                self.drop(transition)
            raise
        if environment.status in TRANSITIONAL:
            environment.status = EnvironmentStatus.ERROR
            environment.error = "An earlier change was cut off before its end."
        return transition

    def end(
        self,
        transition: Transition,
        status: EnvironmentStatus,
        exits: Iterable[Exit] = (),
        **changes: Any,
    ) -> None:
        """Leave it for `status`, changing other columns with it; write the rows of exits.

        Does nothing where the transition was taken over meanwhile.
        """
        with self._dropping(transition), self._database.writing() as session:
            self.end_in(session, transition, status, exits, **changes)

    def end_in(
        self,
        session: Session,
        transition: Transition,
        status: EnvironmentStatus,
        exits: Iterable[Exit] = (),
        **changes: Any,
    ) -> bool:
        """Do as `end` in the caller's transaction; tell whether the transition was still held."""
        ended = list(exits)
        told = ended[-1].fields if ended else {}
        left = session.scalar(
            update(Environment)
            .where(held(transition))
            .values(status=status, status_changed_at=db_now(), held_by=None, **{**told, **changes})
            .returning(Environment.id)
        )
        if left is not None:
            record_exits(session, transition.environment, ended)
            if status not in TRANSITIONAL:
                session_rows.end_stale(session, left)
        return left is not None

    def remove(self, transition: Transition, exits: Iterable[Exit]) -> None:
        """End the transition with the record itself, as `end` does."""
        with self._dropping(transition), self._database.writing() as session:
            gone = session.scalar(
                delete(Environment).where(held(transition)).returning(Environment.id)
            )
            if gone is not None:
                record_exits(session, transition.environment, list(exits))

    def drop(self, transition: Transition) -> None:
        """Hold the transition no longer, though its end could not be recorded: others heal it."""
        self._dropped.add((transition.environment.id, transition.since))

    @contextmanager
    def _dropping(self, transition: Transition) -> Iterator[None]:
        """Drop the transition where the database fails: nobody knows what it has stored.

        This process lives on, and as its holder would keep the agent from healing it.
        """
        try:
            yield
        except StorageError:
            self.drop(transition)
            raise

    def _release(self) -> None:
        """Give the dropped transitions up in the database; called whenever it has answered."""
        for environment_id, since in list(self._dropped):
            with self._database.writing() as session:
                session.execute(
                    update(Environment)
                    .where(
                        Environment.id == environment_id,
                        Environment.status_changed_at == since,
                        Environment.held_by == self._heartbeat.id,
                    )
                    .values(held_by=None)
                )
            self._dropped.discard((environment_id, since))

    def _take(
        self,
        session: Session,
        environment: Environment,
        allowed: Collection[EnvironmentStatus],
        through: EnvironmentStatus,
        *,
        ends: bool | None,
    ) -> datetime:
        """Hold the environment and return since when. Raises: EnvironmentConflictError."""
        wish = {} if ends is None else {"end_requested": ends}
        since: datetime | None = session.scalar(
            update(Environment)
            .where(
                Environment.id == environment.id,
                or_(Environment.status.in_(allowed), abandoned()),
            )
            .values(
                status=through,
                status_changed_at=db_now(),
                held_by=self._heartbeat.ensure(session),
                traceparent=traceparent(),
                **wish,
            )
            .returning(Environment.status_changed_at)
        )
        if since is None:
            raise EnvironmentConflictError(_conflict(environment, allowed))
        return since


def run_fields(transition: Transition, state: ContainerState | None) -> dict[str, Any]:
    """Return the columns that say which run the container is in, at the end of a transition.

    An end that was asked for and has not come (Docker took too long) may still come.
    """
    if state is None:
        return {"container_id": None, "run_started": None, "end_requested": False}
    goes_on = state.running and run_of(state) == transition.known
    return {
        "container_id": state.id,
        "run_started": state.started or None,
        "end_requested": goes_on,
    }


def _own(session: Session, environment_id: str) -> Environment:
    environment = session.get(Environment, environment_id, with_for_update=True)
    if environment is None:
        raise EnvironmentNotFoundError
    return environment


def audit_change(
    session: Session,
    actor: Identity | None,
    action: str,
    environment: Environment,
    before: EnvironmentStatus,
    **details: Any,
) -> None:
    """Note in the audit log what is done to the environment, and its status before."""
    team_id = session.scalar(
        select(Project.owner_team_id).where(Project.id == environment.project_id)
    )
    target = audit.Target.of_environment(environment, team_id)
    audit.record(session, actor, action, target, status=before, **details)


def abandoned() -> ColumnElement[bool]:
    """Return the condition that an environment is in a transition that nobody will end.

    Its holder is dead, or there is none and no pull that the agent goes on with.
    """
    pull = exists().where(
        ImagePull.environment_id == Environment.id, ImagePull.status.in_(OPEN_PULLS)
    )
    held_by_nobody = or_(Environment.held_by.is_(None), Environment.held_by.not_in(alive()))
    return and_(Environment.status.in_(TRANSITIONAL), held_by_nobody, ~pull)


def held(transition: Transition) -> ColumnElement[bool]:
    """Return the condition that the transition is still the caller's."""
    return and_(
        Environment.id == transition.environment.id,
        Environment.status == transition.through,
        Environment.status_changed_at == transition.since,
    )


def _conflict(environment: Environment, allowed: Collection[EnvironmentStatus]) -> str:
    wanted = " or ".join(sorted(allowed))
    if environment.status in allowed:
        return "Somebody else is changing this environment; look at it again in a moment."
    return f"The environment is {environment.status}; this needs it to be {wanted}."
