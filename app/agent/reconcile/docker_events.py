"""Follows Docker's events, and has what they tell of looked at within a moment."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from app.agent.leader.election import Term
from app.agent.reconcile.event_history import ContainerEventHistory
from app.agent.reconcile.queue import WorkQueue
from app.core.errors import EngineError
from app.core.isolation import Isolation, Loop, failed
from app.engine import UNKNOWN, ContainerEvent, Engine, Stream

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 2.0
# Others (execs, and what `docker cp` or `top` do) change nothing that a record tells of.
_TELLING = frozenset(
    {
        "create",
        "destroy",
        "die",
        "kill",
        "oom",
        "pause",
        "rename",
        "restart",
        "start",
        "stop",
        "unpause",
        "update",
    }
)
# To mark what is to be looked at takes no time.
_EVENT_SECONDS = 5.0
_GAP_SECONDS = 15.0
_log = logging.getLogger(__name__)


class EventFollower:
    """One thread that follows the events until the term is over, connecting again where it must.

    `on_gap` is called after each connection: what happened before it may be missing; and, now and
    then, where events could not be read. `on_start` hears of containers that start, by environment
    and container; `on_signal` of those whose first process is sent a signal, which may end them.
    """

    def __init__(
        self,
        engine: Engine,
        event_history: ContainerEventHistory,
        queue: WorkQueue,
        term: Term,
        *,
        instance: Callable[[], str],
        on_gap: Callable[[], None],
        on_start: Callable[[str, str], None],
        on_signal: Callable[[str, str], None] = lambda environment, container: None,
    ) -> None:
        self._engine = engine
        self._event_history = event_history
        self._queue = queue
        self._term = term
        self._instance = instance
        self._on_gap = on_gap
        self._on_start = on_start
        self._on_signal = on_signal
        self._since: int | None = None
        self._stream: Stream[ContainerEvent] | None = None
        self._lock = threading.Lock()
        self._cut: str | None = None
        self._events = Isolation(Loop.EVENTS, _EVENT_SECONDS)
        self._gap_after = 0.0

    def start(self) -> threading.Thread:
        """Begin to follow."""
        thread = threading.Thread(target=self._run, name="events", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Wake the thread, whatever Docker does; call it once the term is over."""
        with self._lock:
            if self._stream is not None:
                self._stream.close()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._term.over.is_set():
            try:
                self._follow()
                pause = _FIRST_PAUSE
            except EngineError as error:
                self._tell_cut(error)
            except Exception:
                failed(Loop.EVENTS)
                _log.exception("events: following failed")
            self._term.over.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _follow(self) -> None:
        with self._engine.events(self._since) as stream:
            with self._lock:
                self._stream = stream
            if self._term.over.is_set():  # `close` came before there was a stream
                return
            self._tell_connected()
            self._on_gap()
            for event in stream:
                self._since = event.at_ns or self._since
                # Whatever one does, the next is heard; what it told of, the sweep finds.
                self._events.attempt(event.container, partial(self._take, event))

    def _take(self, event: ContainerEvent) -> None:
        if event.action == UNKNOWN:
            self._note_unknown()
            return
        environment_id = event.environment_id
        ours = event.instance in (None, "", self._instance())
        if event.action not in _TELLING or environment_id is None or not ours:
            return
        self._event_history.record(event)
        self._queue.add(environment_id)
        if event.action == "start":
            self._on_start(environment_id, event.container)
        if event.action == "kill":
            self._on_signal(environment_id, event.container)

    def _note_unknown(self) -> None:
        """Have everything looked at, but not as often as a container can bring this about."""
        if time.monotonic() < self._gap_after:
            return
        self._gap_after = time.monotonic() + _GAP_SECONDS
        _log.warning("events: not understood")
        failed(Loop.EVENTS)
        self._on_gap()

    def _tell_cut(self, error: EngineError) -> None:
        if self._cut != type(error).__name__:
            _log.warning("events: cut off", extra={"why": str(error.__cause__ or error)})
        self._cut = type(error).__name__

    def _tell_connected(self) -> None:
        if self._cut is not None:
            _log.info("events: connected again")
        self._cut = None
