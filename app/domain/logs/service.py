"""The logs of environments, as their readers see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.domain.authorization import Action, Identity, environment_for
from app.domain.logs.cursors import Order, decode, encode
from app.storage import Database, LogEntry, LogStream

MOST_CHARACTERS = 4 * 1024 * 1024
"""Of the lines of a page, but for a single longer one: answers are made in memory."""
# Lines that are read at once: of the longest there may be, 8 MiB.
_BATCH = 128
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Search:
    """What to look for; `since` is inclusive, `until` is not, `text` is found in any case."""

    stream: LogStream | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


@dataclass(frozen=True)
class LogPage:
    """Lines in the order asked for.

    `next_cursor` leads to more of them and is None when there are none at present; `end_cursor`
    leads on from here in any case, to what comes later.
    """

    items: Sequence[LogEntry]
    next_cursor: str | None
    end_cursor: str | None


class Logs:
    """Reads stored lines; `app.domain.authorization` decides whose."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self,
        identity: Identity,
        environment_id: str,
        search: Search,
        *,
        order: Order = Order.ASC,
        limit: int,
        cursor: str | None = None,
    ) -> LogPage:
        """Return a page of lines in the order in which they were taken in, or against it.

        Lines that arrive or go meanwhile move no other line to another page.
        Raises: EnvironmentNotFoundError, PermissionDeniedError, InvalidInputError (the cursor).
        """
        query = _matching(environment_id, search)
        if order is Order.ASC:
            query = query.order_by(LogEntry.id)
        else:
            query = query.order_by(LogEntry.id.desc())
        if cursor is not None:
            place = decode(order, cursor)
            query = query.where(LogEntry.id > place if order is Order.ASC else LogEntry.id < place)
        with self._database.reading() as session:
            environment_for(session, identity, environment_id, Action.ENVIRONMENT_READ)
            items, more = _read(session, query, order, limit)
            session.expunge_all()
        end = encode(order, items[-1].id) if items else cursor
        return LogPage(items, end if more else None, end)


def _read(
    session: Session, query: Select[LogEntry], order: Order, limit: int
) -> tuple[list[LogEntry], bool]:
    """Return the first lines, as many as a page holds, and whether there are more."""
    items: list[LogEntry] = []
    room = MOST_CHARACTERS
    while True:
        wanted = min(_BATCH, limit + 1 - len(items))
        found = session.scalars(query.limit(wanted)).all()
        for entry in found:
            room -= len(entry.line)
            if len(items) == limit or (room < 0 and items):
                return items, True
            items.append(entry)
        if len(found) < wanted:
            return items, False
        last = items[-1].id
        query = query.where(LogEntry.id > last if order is Order.ASC else LogEntry.id < last)


def _matching(environment_id: str, search: Search) -> Select[LogEntry]:
    query = select(LogEntry).where(LogEntry.environment_id == environment_id)
    if search.stream is not None:
        query = query.where(LogEntry.stream == search.stream)
    if search.since is not None:
        query = query.where(LogEntry.at_ns >= _nanoseconds(search.since))
    if search.until is not None:
        query = query.where(LogEntry.at_ns < _nanoseconds(search.until))
    if search.text is not None:
        query = query.where(LogEntry.line.icontains(search.text, autoescape=True))
    return query


def _nanoseconds(moment: datetime) -> int:
    """Return nanoseconds since 1970, exactly, which a float would not hold."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
