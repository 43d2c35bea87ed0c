"""Pushes what a scrape shows, every so often: one exact total for all processes."""

import logging
import threading
from collections.abc import Callable
from time import monotonic, time_ns

from prometheus_client import Metric

from app.core import signals
from app.core.otlp_sender import Sender
from app.exporter.metric_messages import points, rejected
from app.exporter.plans import Plan

_log = logging.getLogger(__name__)


class Pusher:
    """Pushes in a thread of its own until it is to end; then once more."""

    def __init__(
        self,
        collect: Callable[[], list[Metric]],
        sender: Sender,
        plan: Plan,
        interval: float,
        closing: threading.Event,
        hint: Callable[[str], str],
    ) -> None:
        """collect: returns the families of a scrape; interval: seconds between two pushes; closing:
        set when it is to push for the last time; hint: adds to a receiver's words what to do."""
        self._collect = collect
        self._sender = sender
        self._plan = plan
        self._interval = interval
        self._closing = closing
        self._hint = hint
        self._failing = ""
        self._thread = threading.Thread(target=self._run, name="pusher", daemon=True)

    def start(self) -> None:
        """Begin, with a push at once."""
        for body in self._plan.pending():
            self._count("doubtful", body)  # of one that died before it knew
        self._thread.start()

    def _run(self) -> None:
        while True:
            begun = monotonic()
            last = self._closing.is_set()
            try:
                self._tell(self.push())
            except Exception as error:
                self._tell(str(error) or type(error).__name__)
            if last:
                return
            self._closing.wait(max(0.0, self._interval - (monotonic() - begun)))

    def push(self) -> str:
        """Push once; return what went wrong, empty where nothing did."""
        # Whether these were taken nobody knows; nothing new is said before that is settled.
        for body in self._plan.pending():
            if failing := self._send(body):
                return failing
        self._plan.take(self._collect(), time_ns())
        for body in self._plan.taken:
            if failing := self._send(body):
                return failing
        return ""

    def _send(self, body: bytes) -> str:
        answer = self._sender.send(body)
        if answer.retry:
            if answer.in_doubt and self._plan.adds_up:
                self._count("doubtful", body)
            return answer.retry
        self._plan.through(body)
        if answer.refused:
            self._count("refused", body)
            return answer.refused + self._hint(answer.refused)
        left, why = rejected(answer.accepted or b"")
        signals.emit(signals.points_pushed, result="rejected", number=left)
        signals.emit(signals.points_pushed, result="accepted", number=points(body) - left)
        return f"{left} points rejected: {why}{self._hint(why)}" if left else ""

    def _count(self, result: str, body: bytes) -> None:
        signals.emit(signals.points_pushed, result=result, number=points(body))

    def _tell(self, failing: str) -> None:
        """Log a trouble when it begins, and its end."""
        if failing and failing != self._failing:
            _log.warning("metrics not taken", extra={"why": failing})
        elif self._failing and not failing:
            _log.info("metrics taken again")
        self._failing = failing

    def join(self, seconds: float) -> None:
        """Wait for the last push, in so many seconds at most."""
        self._thread.join(seconds)
        self._sender.close()
