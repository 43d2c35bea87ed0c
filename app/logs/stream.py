"""The log of an environment over a WebSocket: what is stored from a cursor on, then what comes.

Lines are read from the database, into which the agent takes each once: Docker has one reader for
each container, whatever the number of viewers, and each viewer gets each line once.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import select

from app.authorization import Action, Identity, environment_for
from app.logs.cursors import Order, decode, encode
from app.logs.schemas import LogStreamLine
from app.storage import Database, LogEntry
from app.websockets.channel import Channel

HISTORY = 100
"""Lines that a viewer gets who names no cursor."""

# How late a line is seen at most. Less costs each viewer more queries.
_POLL_SECONDS = 0.5
_BATCH = 200


class LogStream:
    """Shows logs as they grow; `app.authorization` decides whose, at each look."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(
        self, identity: Identity, environment_id: str, cursor: str | None
    ) -> Callable[[Channel], None]:
        """Return what shows the log to a channel, from behind `cursor` or its last lines on.

        Raises: EnvironmentNotFoundError, PermissionDeniedError, InvalidInputError (the cursor).
        """
        after = decode(Order.ASC, cursor) if cursor is not None else None
        first = self._read(identity, environment_id, after)

        def show(channel: Channel) -> None:
            entries, last = first, after or 0
            while channel.open:
                for entry in entries:
                    channel.send(_shown(entry))
                    channel.wait_for_room()
                    last = entry.id
                if len(entries) < _BATCH:
                    channel.idle(_POLL_SECONDS)
                entries = self._read(identity, environment_id, last)

        return show

    def _read(
        self, identity: Identity, environment_id: str, after: int | None
    ) -> Sequence[LogEntry]:
        """Return the next lines, or the last ones where there is no place to go on from."""
        query = select(LogEntry).where(LogEntry.environment_id == environment_id)
        if after is None:
            query = query.order_by(LogEntry.id.desc()).limit(HISTORY)
        else:
            query = query.where(LogEntry.id > after).order_by(LogEntry.id).limit(_BATCH)
        with self._database.reading() as session:
            environment_for(session, identity, environment_id, Action.ENVIRONMENT_READ)
            found = list(session.scalars(query))
            session.expunge_all()
        return found[::-1] if after is None else found


def _shown(entry: LogEntry) -> str:
    return LogStreamLine.of(entry, encode(Order.ASC, entry.id)).model_dump_json()
