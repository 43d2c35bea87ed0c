"""Changes of an environment's status, by compare-and-swap in the database.

Of two that want to change it at once, one wins; the other gets a conflict. A change that calls
Docker holds the environment in a status of passage (starting, stopping) meanwhile, and no database
connection. A process that dies there leaves the passage behind; once the process is known to be
dead (see `app.processes`), the agent heals it, or the next change takes it over.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from app import audit
from app.authorization import Action, Identity, environment_for
from app.errors import EnvironmentConflictError, EnvironmentNotFoundError
from app.processes import Presence, living
from app.storage import (
    Database,
    Environment,
    EnvironmentStatus,
    ImagePull,
    Project,
    PullStatus,
    utc_now,
)

PASSAGES = (EnvironmentStatus.STARTING, EnvironmentStatus.STOPPING)
OPEN_PULLS = (PullStatus.PENDING, PullStatus.PULLING)


class Passage:
    """An environment that one caller holds; `environment` is its row as it was before.

    `pull` is the id of the pull that the start waited for, if it did.
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


class Transitions:
    """Begins and ends passages, in the name of this process."""

    def __init__(self, database: Database, presence: Presence) -> None:
        self._database = database
        self._presence = presence

    def begin(
        self,
        identity: Identity,
        environment_id: str,
        allowed: Collection[EnvironmentStatus],
        through: EnvironmentStatus,
        *,
        action: Action,
        audited: str,
        ends: bool | None = None,
        fields: Collection[str] = (),
    ) -> Passage:
        """Take the environment from one of the `allowed` statuses into the passage `through`.

        `audited` names the change in the audit log, `fields` what it changes; `ends` says that a
        container that ends from now on does so because the user asked for it (None: as before).

        Raises: EnvironmentNotFoundError, PermissionDeniedError, or EnvironmentConflictError where
        it is in another status, or where somebody else was quicker.
        """
        with self._database.writing() as session:
            # Locked, so that what is read here is what the update finds.
            environment = environment_for(session, identity, environment_id, action, lock=True)
            details = {"fields": sorted(fields)} if fields else {}
            audit_change(session, identity, audited, environment, environment.status, **details)
            return self._pass(session, environment, allowed, through, ends=ends)

    def begin_own(
        self,
        environment_id: str,
        allowed: Collection[EnvironmentStatus],
        through: EnvironmentStatus,
        *,
        audited: str,
        still: ColumnElement[bool],
    ) -> Passage:
        """Do as `begin` in the name of VibeBox itself, where the condition `still` holds.

        Raises: EnvironmentNotFoundError where it does not, EnvironmentConflictError.
        """
        with self._database.writing() as session:
            environment = session.scalars(
                select(Environment).where(Environment.id == environment_id, still).with_for_update()
            ).one_or_none()
            if environment is None:
                raise EnvironmentNotFoundError
            audit_change(session, None, audited, environment, environment.status)
            return self._pass(session, environment, allowed, through, ends=True)

    def end(self, passage: Passage, status: EnvironmentStatus, **changes: Any) -> None:
        """Leave the passage for `status`, changing other columns with it.

        Does nothing where the passage was taken over meanwhile.
        """
        with self._database.writing() as session:
            self.end_in(session, passage, status, **changes)

    def end_in(
        self, session: Session, passage: Passage, status: EnvironmentStatus, **changes: Any
    ) -> bool:
        """Do as `end` in the caller's transaction; tell whether the passage was still held."""
        ended = session.scalar(
            update(Environment)
            .where(held(passage))
            .values(status=status, status_changed_at=utc_now(), held_by=None, **changes)
            .returning(Environment.id)
        )
        return ended is not None

    def _pass(
        self,
        session: Session,
        environment: Environment,
        allowed: Collection[EnvironmentStatus],
        through: EnvironmentStatus,
        *,
        ends: bool | None,
    ) -> Passage:
        now = utc_now()
        session.flush()
        session.expunge(environment)
        self._take(session, environment, allowed, through, now, ends=ends)
        if environment.status in PASSAGES:
            environment.status = EnvironmentStatus.ERROR
            environment.error = "An earlier change was cut off before its end."
        return Passage(environment, through, now)

    def _take(
        self,
        session: Session,
        environment: Environment,
        allowed: Collection[EnvironmentStatus],
        through: EnvironmentStatus,
        now: datetime,
        *,
        ends: bool | None,
    ) -> None:
        wish = {} if ends is None else {"end_requested": ends}
        taken = session.scalar(
            update(Environment)
            .where(
                Environment.id == environment.id,
                or_(Environment.status.in_(allowed), abandoned()),
            )
            .values(
                status=through,
                status_changed_at=now,
                held_by=self._presence.ensure(session),
                **wish,
            )
            .returning(Environment.id)
        )
        if taken is None:
            raise EnvironmentConflictError(_conflict(environment, allowed))


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
    """Return the condition that an environment is in a passage that nobody will end.

    Its holder is dead, or there is none and no pull that the agent goes on with.
    """
    pull = exists().where(
        ImagePull.environment_id == Environment.id, ImagePull.status.in_(OPEN_PULLS)
    )
    held_by_nobody = or_(Environment.held_by.is_(None), Environment.held_by.not_in(living()))
    return and_(Environment.status.in_(PASSAGES), held_by_nobody, ~pull)


def held(passage: Passage) -> ColumnElement[bool]:
    """Return the condition that the passage is still the caller's."""
    return and_(
        Environment.id == passage.environment.id,
        Environment.status == passage.through,
        Environment.status_changed_at == passage.since,
    )


def _conflict(environment: Environment, allowed: Collection[EnvironmentStatus]) -> str:
    wanted = " or ".join(sorted(allowed))
    if environment.status in allowed:
        return "Somebody else is changing this environment; look at it again in a moment."
    return f"The environment is {environment.status}; this needs it to be {wanted}."
