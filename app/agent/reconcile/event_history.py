"""What Docker's events told of containers: how a run ended that is gone when somebody looks.

Kept in memory only. What is forgotten, or was never heard, costs an exit code, never an exit.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import TypeVar

from app.domain.environments.exits import Run
from app.engine import ContainerEvent

T = TypeVar("T")

# More containers or events need more memory; fewer forget how a run ended that nobody looked at.
_CONTAINERS = 4096
_EVENTS = 16

# A process that is killed for memory may take a moment to die; what ran out of memory earlier was
# another one, and the container went on. Docker may hear of the end first.
_SOON_NS = 10 * 1_000_000_000
_LATE_SECONDS = 1.0
_LATE_NS = int(_LATE_SECONDS * 1_000_000_000)
_SIGKILL = 137

_DOCKER_TIME = re.compile(
    r"(?P<seconds>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)"
    r"(?:\.(?P<fraction>\d{1,9}))?(?P<zone>Z|[+-]\d\d:\d\d)?"
)


@dataclass
class _Heard:
    """Events of one container: (time, exit code) of ends, times of the others."""

    dies: list[tuple[int, int | None]] = field(default_factory=list)
    ooms: list[int] = field(default_factory=list)
    kills: list[int] = field(default_factory=list)
    died_at: float = 0.0  # by our own clock


@dataclass(frozen=True)
class Ending:
    """What was heard of the end of one run.

    `oom`: memory ran out shortly before it, and Docker was not asked to send a signal after that.
    """

    died: bool = False
    code: int | None = None
    oom: bool = False
    fresh: bool = False
    """It died by SIGKILL just now, and nobody has told why: an `oom` may be on its way."""


class ContainerEventHistory:
    """Hears events and answers for runs; safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._containers: OrderedDict[str, _Heard] = OrderedDict()

    def record(self, event: ContainerEvent) -> None:
        """Note an event; one that comes twice, after a reconnection, changes nothing."""
        with self._lock:
            heard = self._containers.setdefault(event.container, _Heard())
            self._containers.move_to_end(event.container)
            if event.action == "die":
                _add(heard.dies, (event.at_ns, event.exit_code))
                heard.died_at = self._clock()
            elif event.action == "oom":
                _add(heard.ooms, event.at_ns)
            elif event.action == "kill":
                _add(heard.kills, event.at_ns)
            while len(self._containers) > _CONTAINERS:
                self._containers.popitem(last=False)

    def lookup(self, run: Run, before: str | None = None) -> Ending:
        """Return what was heard of the end of `run`; `before`: when the next run started."""
        start, end = _nanoseconds(run.started), _nanoseconds(before) if before else None
        with self._lock:
            heard = self._containers.get(run.container_id, _Heard())
            dies = [die for die in heard.dies if _within(start, die[0], end)]
            ooms = [at for at in heard.ooms if _within(start, at, end)]
            kills = [at for at in heard.kills if _within(start, at, end)]
            just_now = self._clock() - heard.died_at < _LATE_SECONDS
        if not dies:
            return Ending()
        at, code = dies[0]
        last_oom = max((moment for moment in ooms if moment <= at + _LATE_NS), default=0)
        last_kill = max((moment for moment in kills if moment <= at), default=0)
        oom = last_oom >= at - _SOON_NS and last_oom > last_kill
        told = oom or last_kill > 0 or code != _SIGKILL
        return Ending(True, code, oom, fresh=just_now and not told)


def _add(events: list[T], event: T) -> None:
    if event not in events:
        events.append(event)
        del events[:-_EVENTS]


def _within(start: int, at: int, end: int | None) -> bool:
    return start <= at and (end is None or at <= end)


def _nanoseconds(moment: str) -> int:
    """Return Docker's text of a time in nanoseconds since 1970; it has up to nine decimals."""
    found = _DOCKER_TIME.fullmatch(moment)
    if found is None:
        raise ValueError(f"{moment!r} is no time of Docker")
    at = datetime.fromisoformat(found["seconds"] + (found["zone"] or "Z")).astimezone(UTC)
    return int(at.timestamp()) * 1_000_000_000 + int((found["fraction"] or "0").ljust(9, "0"))
