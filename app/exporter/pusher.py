"""Pushes what a scrape shows, every so often: one exact total for all processes.

Totals are cumulative: what one push did not say, the next does, so that nothing is tried again and
nothing is counted twice. They begin at a start time, which stays the same through the deaths of
workers and of this process, and moves when the totals have begun anew (the service was stopped, and
its directory emptied).
"""

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import monotonic, time_ns

from prometheus_client import Metric

from app.exporter.metric_messages import rejected, requests
from app.exporter.sender import Sender

_log = logging.getLogger(__name__)
Totals = dict[str, float]


class StartTime:
    """Since when the totals are counted, kept in a file for the next exporter."""

    def __init__(self, path: Path, now: int) -> None:
        self._path = path
        self._start, self._looked, self._totals = self._read() or (now, now, {})

    def of(self, families: Iterable[Metric], now: int) -> int:
        """Return the start of these families' totals. Raises: OSError where it cannot be kept."""
        totals = {
            family.name: sum(sample.value for sample in family.samples)
            for family in families
            if family.type == "counter"
        }
        if any(totals.get(name, 0.0) < total for name, total in self._totals.items()):
            # They began anew behind the last look; what it saw was of the old ones.
            self._start = self._looked + 1
        self._looked, self._totals = now, totals
        self._write()
        return self._start

    def _read(self) -> tuple[int, int, Totals] | None:
        try:
            found = json.loads(self._path.read_text())
            return int(found["start"]), int(found["looked"]), dict(found["totals"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self) -> None:
        temporary = self._path.with_suffix(".new")
        state = {"start": self._start, "looked": self._looked, "totals": self._totals}
        temporary.write_text(json.dumps(state))
        temporary.rename(self._path)


class Pusher:
    """Pushes in a thread of its own until it is closed; then once more."""

    def __init__(
        self,
        collect: Callable[[], list[Metric]],
        sender: Sender,
        resource: Mapping[str, str],
        start: StartTime,
        interval: float,
    ) -> None:
        """collect: returns the families of a scrape; interval: seconds between two pushes."""
        self._collect = collect
        self._sender = sender
        self._resource = resource
        self._start = start
        self._interval = interval
        self._closing = threading.Event()
        self._failing = ""
        self._thread = threading.Thread(target=self._run, name="pusher", daemon=True)

    def start(self) -> None:
        """Begin, with a push at once."""
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
        families = self._collect()
        now = time_ns()
        start = self._start.of(families, now)
        for body in requests(families, self._resource, start, now):
            answer = self._sender.send(body)
            if answer.accepted is None:
                return answer.retry or answer.refused
            left, why = rejected(answer.accepted)
            if left:
                return f"{left} points rejected: {why}"
        return ""

    def _tell(self, failing: str) -> None:
        """Log a trouble when it begins, and its end."""
        if failing and failing != self._failing:
            _log.warning("metrics not taken", extra={"why": failing})
        elif self._failing and not failing:
            _log.info("metrics taken again")
        self._failing = failing

    def close(self, seconds: float) -> None:
        """Push for the last time, and end, in so many seconds at most."""
        self._closing.set()
        self._thread.join(seconds)
        self._sender.close()
