"""The log of an environment over a WebSocket: what is stored from a cursor on, then what comes.

Lines are read from the database, into which the agent takes each once: Docker has one reader for
each container, whatever the number of viewers, and each viewer gets each line once. New lines are
read once for all viewers in this process (see `log_tail`). A viewer who comes, or who is slow,
reads for himself what they have seen already; who takes nothing for long is cut off.
"""

from collections.abc import Sequence

from app.domain.authorization import Access, Action, Identity
from app.domain.logs.cursors import Order, decode
from app.domain.logs.following import FollowedLogs
from app.storage import LogEntry
from app.web.streams.log_tail import BATCH, LogTail, shown
from app.web.websockets.channel import Channel
from app.web.websockets.polling_hub import PollingHub
from app.web.websockets.sockets import Opening

HISTORY = 100
"""Lines that a viewer gets who names no cursor."""


class LogStream:
    """Shows logs as they grow; `app.domain.authorization` decides whose."""

    def __init__(self, logs: FollowedLogs, hub: PollingHub) -> None:
        self._logs = logs
        self._hub = hub

    def open(self, identity: Identity, environment_id: str, cursor: str | None) -> Opening:
        """Return what shows the log, from behind `cursor` or its last lines on.

        Raises: EnvironmentNotFoundError, PermissionDeniedError, InvalidInputError (the cursor).
        """
        after = decode(Order.ASC, cursor) if cursor is not None else None
        first = self._read(identity, environment_id, after)

        def show(channel: Channel) -> None:
            tail = LogTail(self._logs, environment_id)
            # Watched before the rest is read: a line that comes meanwhile is seen by one of both.
            with self._hub.watching(("log", environment_id), identity, tail) as view:
                last = _send(channel, shown(first), after or 0)
                last = self._catch_up(channel, identity, environment_id, last)
                while (recent := view.next(channel)) is not None:
                    if recent.begins_after > last:
                        last = self._catch_up(channel, identity, environment_id, last)
                    last = _send(channel, recent.lines, last)

        return Opening(Access(identity, Action.ENVIRONMENT_READ, environment_id), show)

    def _catch_up(
        self, channel: Channel, identity: Identity, environment_id: str, last: int
    ) -> int:
        """Send all that there is behind `last`, and return the last that was sent."""
        while channel.open:
            entries = self._read(identity, environment_id, last)
            last = _send(channel, shown(entries), last)
            if len(entries) < BATCH:
                break
            # Who reads as fast as we do gives no other chance to hear of an end.
            channel.run_once(0)
        return last

    def _read(
        self, identity: Identity, environment_id: str, after: int | None
    ) -> Sequence[LogEntry]:
        """Return the next lines, or the last ones where there is no place to go on from."""
        if after is None:
            return self._logs.last(identity, environment_id, limit=HISTORY)
        return self._logs.behind(identity, environment_id, after, limit=BATCH)


def _send(channel: Channel, lines: Sequence[tuple[int, str]], last: int) -> int:
    """Send the lines behind `last` as fast as they are taken; return the last that was sent."""
    for id, message in lines:
        if id > last and channel.open:
            channel.send(message)
            channel.wait_for_room()
            last = id
    return last
