"""The end of a log as it grows: read once, for all in this process who watch it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.domain.authorization import Identity
from app.domain.logs.cursors import Order, encode
from app.domain.logs.following import FollowedLogs
from app.storage import LogEntry
from app.web.api.schemas.logs import LogStreamLine
from app.web.websockets.polling_hub import Observation, Source

BATCH = 200
"""Lines that one query returns at most."""

# What is kept of a log for those who watch it, of each environment: whoever is further behind reads
# from the database again. More costs memory, less costs slow viewers queries of their own.
MOST_LINES = 1000
MOST_CHARACTERS = 1024 * 1024


@dataclass(frozen=True, eq=False)
class Recent:
    """The last lines by id, each as the message that shows it: all behind `begins_after`."""

    begins_after: int
    lines: tuple[tuple[int, str], ...] = ()

    @property
    def ends_at(self) -> int:
        """The id of the last line."""
        return self.lines[-1][0] if self.lines else self.begins_after

    def followed_by(self, lines: list[tuple[int, str]]) -> "Recent":
        """Return what is kept when these have come; itself when there are none."""
        if not lines:
            return self
        kept = (*self.lines, *lines)
        size = sum(len(message) for _, message in kept)
        dropped = max(0, len(kept) - MOST_LINES)
        size -= sum(len(message) for _, message in kept[:dropped])
        # The newest line stays whatever its length.
        while size > MOST_CHARACTERS and dropped < len(kept) - 1:
            size -= len(kept[dropped][1])
            dropped += 1
        begins_after = kept[dropped - 1][0] if dropped else self.begins_after
        return Recent(begins_after, kept[dropped:])


class LogTail(Source[Recent]):
    """The log of an environment, from the first look on."""

    def __init__(self, logs: FollowedLogs, environment_id: str) -> None:
        self._logs = logs
        self._environment_id = environment_id
        self._recent: Recent | None = None

    def look(self, whos: Collection[Identity]) -> Observation[Recent]:
        """See `Source.look`."""
        if self._recent is None:
            self._recent = Recent(self._logs.last_id(self._environment_id))
            return Observation(self._recent)
        found = self._logs.look(self._environment_id, self._recent.ends_at, limit=BATCH)
        self._recent = self._recent.followed_by(shown(found))
        return Observation(self._recent, more=len(found) == BATCH)


def shown(entries: Sequence[LogEntry]) -> list[tuple[int, str]]:
    """Return lines by id, each as the message that shows it."""
    return [(entry.id, _message(entry)) for entry in entries]


def _message(entry: LogEntry) -> str:
    return LogStreamLine.of(entry, encode(Order.ASC, entry.id)).model_dump_json()
