"""One thread that looks at what changes, for all in this process who watch it.

However many viewers a thing has here, it is looked at once in a while, and once for all of them.
Each viewer is handed the whole of what was observed, in place of the observation before: a viewer
who is slow misses those between, holds up nobody, and costs the memory of one observation only.

A look that fails says nothing about what is looked at: a database that restarts must not end all
that is open. So it is tried again for `GRACE` seconds, and only then ends what is watched by it.
"""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from select import POLLIN
from typing import Any, Generic, TypeVar

from app.core.deadline import within
from app.core.errors import VibeBoxError
from app.core.isolation import OUTAGES, Loop, failed
from app.web.websockets.channel import Channel
from app.web.websockets.wakeup import Wakeup

PAUSE = 0.5
"""Seconds between two looks: how late a change is seen, at most. Less costs more queries."""

GRACE = 60.0
"""Seconds for which looks may fail before they end what is watched: as long as a database takes to
restart or to fail over. More would leave open for longer what cannot be judged meanwhile."""

# One look is one or two short queries: what takes longer must not hold up what others watch.
_LOOK_SECONDS = 10.0

Value = TypeVar("Value")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Observation(Generic[Value]):
    """What a look found: a viewer is handed `value` only where it differs from the last.

    Attributes: refused (viewers who may not see it any more, and the error that says why), more
    (whether the next look is to follow without a pause).
    """

    value: Value
    refused: Mapping[Any, VibeBoxError] = field(default_factory=dict)
    more: bool = False


class Source(ABC, Generic[Value]):
    """Something that is watched; only the hub's thread uses it."""

    @abstractmethod
    def look(self, whos: Collection[Any]) -> Observation[Value]:
        """Look for `whos`, whose right to see it is asked for again. Raises: errors of ours."""


class View(Generic[Value]):
    """What a viewer sees, in the thread of the viewer.

    With `seen`, a value that the viewer has already, it is handed only what differs from that.
    """

    def __init__(self, key: Hashable, who: Hashable, seen: Value | None = None) -> None:
        self.key = key
        self.who = who
        self.wakeup = Wakeup()
        self._value = seen
        self._error: Exception | None = None

    @property
    def error(self) -> Exception | None:
        """Why there is nothing more to see; None while there is."""
        return self._error

    def next(self, channel: Channel) -> Value | None:
        """Wait for a value that is new, and return it: None when the channel closes instead.

        What the peer says meanwhile is dropped. Raises: the error that a look ended in.
        """
        while channel.open:
            ready = channel.run_once(watched={self.wakeup.fileno(): POLLIN})
            channel.received()
            if ready and channel.open:
                return self.take()
        return None

    def take(self) -> Value | None:
        """Return the latest value, and clear the wakeup. Raises: as `next`."""
        self.wakeup.clear()
        if self._error is not None:
            raise self._error
        return self._value

    def put(self, value: Value) -> None:
        """Hand the viewer a value, unless it has an equal one; in the hub's thread."""
        if self._value is None or value != self._value:
            self._value = value
            self.wakeup.set()

    def end(self, error: Exception) -> None:
        """Tell the viewer why there is nothing more to see; in the hub's thread."""
        self._error = error
        self.wakeup.set()


@dataclass
class _Watched:
    source: Source[Any]
    views: list[View[Any]] = field(default_factory=list)
    failing_since: float | None = None


class PollingHub:
    """Looks at whatever has viewers; its thread, called `name`, lives as long as there are any."""

    def __init__(
        self,
        pause: float = PAUSE,
        *,
        grace: float = GRACE,
        name: str = "hub",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pause = pause
        self._grace = grace
        self._name = name
        self._clock = clock
        self._watched: dict[Hashable, _Watched] = {}
        # Held for a moment only, never during a look.
        self._change = threading.Condition()
        self._running = False
        self._news = False

    @contextmanager
    def watching(
        self, key: Hashable, who: Hashable, source: Source[Value]
    ) -> Iterator[View[Value]]:
        """Watch what `key` names for the block, by `source` where nobody does so far.

        The viewer is handed only what was observed after the block was entered.
        """
        view = self.watch(key, who, source)
        try:
            yield view
        finally:
            self.leave(view)

    def watch(
        self, key: Hashable, who: Hashable, source: Source[Value], seen: Value | None = None
    ) -> View[Value]:
        """Watch as `watching` does, until `leave`."""
        with self._change:
            self._begin()
            view: View[Value] = View(key, who, seen)
            watched = self._watched.get(key)
            if watched is None:
                watched = self._watched[key] = _Watched(source)
                self._news = True
            watched.views.append(view)
            self._change.notify()
        return view

    def hurry(self) -> None:
        """Have the next look made at once."""
        with self._change:
            self._news = True
            self._change.notify()

    def leave(self, view: View[Any]) -> None:
        """Watch no more; call it once for each view."""
        with self._change:
            self._leave(view)
            view.wakeup.close()

    def _begin(self) -> None:
        """Have the thread run; raises RuntimeError where there can be none."""
        if not self._running:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
            self._running = True

    def _leave(self, view: View[Any]) -> None:
        watched = self._watched.get(view.key)
        if watched is None or view not in watched.views:
            return
        watched.views.remove(view)
        if not watched.views:
            del self._watched[view.key]
            self._change.notify()

    def _run(self) -> None:
        while True:
            with self._change:
                if not self._watched:
                    self._running = False
                    return
                self._news = False
                round = [(one, list(one.views)) for one in self._watched.values()]
            more = False
            for watched, views in round:
                try:
                    more = self._look(watched, views) or more
                except Exception:  # the others are looked at all the same
                    failed(Loop.STREAMS)
                    _log.exception("look not told")
            if not more:
                with self._change:
                    # What is new is looked at at once; who joins others waits for their next look.
                    self._change.wait_for(lambda: self._news or not self._watched, self._pause)

    def _look(self, watched: _Watched, views: list[View[Any]]) -> bool:
        """Look at one thing and tell its viewers; tell whether there is more to see at once."""
        try:
            with within(_LOOK_SECONDS):
                seen = watched.source.look({view.who for view in views})
        except Exception as error:
            if self._may_pass(watched, error):
                return False
            seen = Observation(None, {view.who: error for view in views})  # type: ignore[misc]
        else:
            watched.failing_since = None
        with self._change:
            for view in views:
                if view not in watched.views:
                    continue  # it has left, and its wakeup is closed
                if view.who in seen.refused:
                    view.end(seen.refused[view.who])
                    self._leave(view)
                else:
                    view.put(seen.value)
        return seen.more

    def _may_pass(self, watched: _Watched, error: Exception) -> bool:
        """Tell whether a failed look is to be tried again: what is looked at did not fail it."""
        if isinstance(error, VibeBoxError) and error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return False
        now = self._clock()
        if not isinstance(error, OUTAGES):
            failed(Loop.STREAMS)
        if watched.failing_since is None:
            watched.failing_since = now
            fields = {"source": type(watched.source).__name__, "why": str(error)}
            _log.warning("look failed; trying again", extra=fields, exc_info=error)
        if now - watched.failing_since < self._grace:
            return True
        _log.error("looks have failed for too long", exc_info=error)
        return False
