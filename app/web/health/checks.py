"""Readiness checks: each with its own deadline, side by side, through the service's own clients.

A check that hangs is not started a second time, and a probe that finds it hanging does not wait
for it again. The reason of a failure goes to the log, once for each change, and to no caller.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from app.core import signals
from app.core.single_flight import Run, SingleFlight
from app.doctor.looks import reason as reason_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a check found; latency in milliseconds."""

    up: bool
    latency_ms: float


class Check:
    """One dependency: `look` raises where it is not well; `close` gives back what it holds."""

    def __init__(
        self,
        name: str,
        look: Callable[[], object],
        *,
        required: bool,
        deadline: float,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.required = required
        self._close_look = close
        self._deadline = deadline
        self._flight = SingleFlight(f"check-{name}", look)
        self._lock = threading.Lock()
        self._told: Run[object] | None = None
        self._last_reason: str | None = None

    def begin(self) -> Run[object]:
        """Start a run, or join the one under way, without waiting."""
        try:
            return self._flight.begin()
        except RuntimeError as error:
            return Run.failed(CheckNotMadeError(str(error)))

    def finish(self, run: Run[object]) -> Result:
        """Wait for the run until its deadline and tell what it found."""
        reason = None
        try:
            run.result(self._deadline)
        except Exception as error:
            reason = reason_of(error)
        # A run that hangs is told as what it was waited for, not as the hours that it may last.
        seconds = min(run.seconds, self._deadline)
        if self._is_news(run):
            self._tell(reason, seconds)
        return Result(up=reason is None, latency_ms=round(seconds * 1000, 3))

    def close(self) -> None:
        """End the thread of this check after its run."""
        self._flight.close()
        self._close_look()

    def _is_news(self, run: Run[object]) -> bool:
        """Tell whether nobody told of this run: several probes may have joined it."""
        with self._lock:
            told, self._told = self._told, run
            return told is not run

    def _tell(self, reason: str | None, seconds: float) -> None:
        signals.emit(
            signals.health_checked,
            check=self.name,
            required=self.required,
            up=reason is None,
            seconds=seconds,
        )
        previous, self._last_reason = self._last_reason, reason
        if reason is not None and reason != previous:
            _log.warning("health check failed", extra={"check": self.name, "why": reason})
        elif reason is None and previous is not None:
            _log.info("health check passes again", extra={"check": self.name})


class CheckNotMadeError(Exception):
    """The check itself could not be made, for want of a thread: nothing is known of its subject.

    It counts as failed all the same: what cannot be seen to be well must not be taken for well.
    """


class Checks:
    """All checks of a process; `start` makes them run of their own accord as well.

    `on_ready` is called after each run in which all required ones passed.
    """

    def __init__(
        self, checks: list[Check], *, interval: float, on_ready: Callable[[], None]
    ) -> None:
        self._checks = checks
        self._on_ready = on_ready
        self._interval = interval
        self._stopped = threading.Event()

    def run(self) -> dict[Check, Result]:
        """Run all side by side and return what each found."""
        runs = [(check, check.begin()) for check in self._checks]
        results = {check: check.finish(run) for check, run in runs}
        if all(result.up for check, result in results.items() if check.required):
            self._on_ready()
        return results

    def start(self) -> None:
        """Refresh the results every interval, so that alerts see them whoever probes."""
        threading.Thread(target=self._refresh, name="check-refresh", daemon=True).start()

    def close(self) -> None:
        """End the threads of the checks."""
        self._stopped.set()
        for check in self._checks:
            check.close()

    def _refresh(self) -> None:
        while True:
            try:
                self.run()
            except Exception:
                _log.exception("refreshing the health checks failed")
            if self._stopped.wait(self._interval):
                return
