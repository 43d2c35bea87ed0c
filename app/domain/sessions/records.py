"""The rows of sessions, and who may see them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.orm import Session

from app.core.errors import (
    EnvironmentNotFoundError,
    SessionConflictError,
    SessionNotFoundError,
    StorageError,
)
from app.core.trace_context import traceparent
from app.domain.authorization import Action, Identity, environment_for
from app.domain.heartbeat import Heartbeat
from app.domain.paging import Page
from app.domain.sessions.audited import audit_opened
from app.domain.sessions.rows import ended, living
from app.engine import TerminalStream
from app.storage import (
    Database,
    Environment,
    EnvironmentSession,
    SessionStatus,
    SessionType,
    Terminal,
    db_now,
    new_id,
)

ENDED = "The session has ended; start another one."
ENDING = "The session is being ended; start another one."
_TAKEN = "This shell has its terminal already; start another one, or use tmux."
_NO_TERMINAL = "A VS Code server has no terminal of its own; open its connection_url."


@dataclass(frozen=True)
class Claimed:
    """A terminal that was taken: its id, and the folder in which a shell begins, if any."""

    terminal_id: str
    folder: str | None


def is_to_end() -> ColumnElement[bool]:
    """Return the condition that somebody has asked for the end of a session."""
    return EnvironmentSession.end_requested_at.is_not(None)


def ask_end_in(session: Session, session_id: str) -> None:
    """Record in the caller's transaction that a session is to end, from now on or before."""
    session.execute(
        update(EnvironmentSession)
        .where(EnvironmentSession.id == session_id, living(), ~is_to_end())
        .values(end_requested_at=db_now(), traceparent=traceparent())
    )


def end_in(session: Session, session_id: str, exit_code: int | None = None) -> None:
    """Record in the caller's transaction that a session has ended, and its terminals with it."""
    session.execute(
        update(EnvironmentSession)
        .where(EnvironmentSession.id == session_id, living())
        .values(ended(exit_code))
    )
    session.execute(delete(Terminal).where(Terminal.session_id == session_id))


class SessionRecords:
    """Reads and changes rows; every change is a compare-and-swap."""

    def __init__(self, database: Database, heartbeat: Heartbeat) -> None:
        self._database = database
        self._heartbeat = heartbeat
        self._left: set[tuple[str, str]] = set()
        heartbeat.on_seen.append(self._leave_left)

    def get(
        self, identity: Identity, session_id: str, action: Action = Action.ENVIRONMENT_READ
    ) -> EnvironmentSession:
        """Return a session. Raises: SessionNotFoundError, PermissionDeniedError."""
        with self._database.reading() as session:
            found = self.find(session, identity, session_id, action)
            session.expunge_all()
        return found

    def find(
        self, session: Session, identity: Identity, session_id: str, action: Action
    ) -> EnvironmentSession:
        """Do as `get` in the caller's transaction."""
        found = session.get(EnvironmentSession, session_id)
        if found is None:
            raise SessionNotFoundError
        try:
            environment_for(session, identity, found.environment_id, action)
        except EnvironmentNotFoundError as error:
            raise SessionNotFoundError from error
        return found

    def list(
        self,
        identity: Identity,
        environment_id: str,
        status: SessionStatus | None,
        *,
        limit: int,
        offset: int,
    ) -> Page[EnvironmentSession]:
        """Return a page, newest first. Raises: EnvironmentNotFoundError, PermissionDeniedError."""
        wanted = EnvironmentSession.environment_id == environment_id
        if status is not None:
            wanted &= EnvironmentSession.status == status
        newest = EnvironmentSession.created_at.desc(), EnvironmentSession.id.desc()
        with self._database.reading() as session:
            environment_for(session, identity, environment_id, Action.ENVIRONMENT_READ)
            total = session.scalar(
                select(func.count()).select_from(EnvironmentSession).where(wanted)
            )
            page = select(EnvironmentSession).where(wanted).order_by(*newest)
            items = list(session.scalars(page.limit(limit).offset(offset)))
            session.expunge_all()
        return Page(items, total or 0)

    def claim(self, found: EnvironmentSession) -> Claimed:
        """Take a terminal of the session: of a shell there is one. Raises: SessionConflictError."""
        free = [EnvironmentSession.id == found.id, living(), ~is_to_end()]
        changes: dict[str, Any] = {"last_active_at": db_now(), "status": SessionStatus.ACTIVE}
        folder = select(Environment.volume_path).where(Environment.id == found.environment_id)
        with self._database.writing() as session:
            holder = self._heartbeat.ensure(session)
            if found.type is SessionType.SHELL:
                free.append(EnvironmentSession.status == SessionStatus.STARTING)
                changes["held_by"] = holder
            taken = session.execute(
                update(EnvironmentSession)
                .where(*free)
                .values(changes)
                .returning(EnvironmentSession.id, folder.scalar_subquery())
            ).one_or_none()
            if taken is not None:
                claimed = Claimed(new_id(), taken[1])
                row = {"id": claimed.terminal_id, "session_id": found.id, "held_by": holder}
                session.execute(insert(Terminal).values(**row, opened_at=db_now()))
                return claimed
        self.refuse(self._again(found))
        raise SessionConflictError(ENDED)

    @staticmethod
    def refuse(found: EnvironmentSession) -> None:
        """Refuse a terminal that cannot be had. Raises: SessionConflictError."""
        if found.status is SessionStatus.TERMINATED:
            raise SessionConflictError(ENDED)
        if found.ending:
            raise SessionConflictError(ENDING)
        if found.type is SessionType.VSCODE_SERVER:
            raise SessionConflictError(_NO_TERMINAL)
        if found.type is SessionType.SHELL and found.status is not SessionStatus.STARTING:
            raise SessionConflictError(_TAKEN)

    def note_exec(
        self,
        identity: Identity,
        found: EnvironmentSession,
        terminal_id: str,
        stream: TerminalStream,
    ) -> None:
        """Keep which process of the container a terminal is, and a shell; note who is at it."""
        with self._database.writing() as session:
            session.execute(
                update(Terminal)
                .where(Terminal.id == terminal_id)
                .values(exec_id=stream.exec_id, pid=stream.pid)
            )
            if found.type is SessionType.SHELL:
                session.execute(
                    update(EnvironmentSession)
                    .where(EnvironmentSession.id == found.id)
                    .values(exec_id=stream.exec_id)
                )
            audit_opened(session, identity, found)

    def close(self, found: EnvironmentSession, terminal_id: str) -> None:
        """Forget a terminal whose command has ended; a shell has ended with it."""
        with self._leaving(found.id, terminal_id), self._database.writing() as session:
            if found.type is SessionType.SHELL:
                end_in(session, found.id)
            else:
                session.execute(delete(Terminal).where(Terminal.id == terminal_id))

    def leave(self, session_id: str, terminal_id: str) -> None:
        """Serve a terminal no longer, though its command may live: the agent ends it."""
        self._left.discard((session_id, terminal_id))
        shell = EnvironmentSession.id == session_id, EnvironmentSession.type == SessionType.SHELL
        with self._leaving(session_id, terminal_id), self._database.writing() as session:
            session.execute(update(Terminal).where(Terminal.id == terminal_id).values(held_by=None))
            session.execute(update(EnvironmentSession).where(*shell, living()).values(held_by=None))

    @contextmanager
    def _leaving(self, session_id: str, terminal_id: str) -> Iterator[None]:
        """Leave the terminal later where the database fails now: this process lives on.

        As its holder it would keep the agent from ending it, and the session in use for ever.
        """
        try:
            yield
        except StorageError:
            self._left.add((session_id, terminal_id))

    def _leave_left(self) -> None:
        """Leave what could not be left; called whenever the database has answered."""
        for session_id, terminal_id in list(self._left):
            self.leave(session_id, terminal_id)

    def terminals(self, session_id: str) -> Sequence[Terminal]:
        """Return the terminals of a session."""
        with self._database.reading() as session:
            mine = select(Terminal).where(Terminal.session_id == session_id)
            found = session.scalars(mine).all()
            session.expunge_all()
        return found

    def end(self, session_id: str, exit_code: int | None = None) -> None:
        """Record that a session has ended; one that had already stays as it is."""
        with self._database.writing() as session:
            end_in(session, session_id, exit_code)

    def _again(self, found: EnvironmentSession) -> EnvironmentSession:
        with self._database.reading() as session:
            again = session.get(EnvironmentSession, found.id)
            session.expunge_all()
        if again is None:
            raise SessionNotFoundError
        return again
