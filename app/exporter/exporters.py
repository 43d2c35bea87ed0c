"""Send what is in rings, batch after batch: spans here, lines of the log in `log_exporter`."""

import json
import logging
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Generic, TypeVar

from app.core import signals
from app.core.otlp_sender import Answer, Sender
from app.core.otlp_target import Signal, resource, target
from app.core.settings import Settings
from app.exporter import messages
from app.exporter.batches import Batch, Batches
from app.tracing import records
from app.tracing.records import Span

_PAUSE = 0.2
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_MOST_ASKED = 300.0
"""Seconds of a Retry-After that are believed."""
_log = logging.getLogger(__name__)
T = TypeVar("T")


class Exporter(ABC, Generic[T]):
    """Sends each batch until it is accepted or refused."""

    def __init__(self, batches: Batches[T], sender: Sender) -> None:
        self._batches = batches
        self._sender = sender
        self._pause = _PAUSE

    def run(self, stopping: threading.Event) -> None:
        """Send until `stopping` is set; then once what there is."""
        while not stopping.is_set():
            if not self._send_all(stopping):
                return
            stopping.wait(self._pause)
        self._send_all(stopping)

    def _send_all(self, stopping: threading.Event) -> bool:
        """Send what there is; tell whether it is through."""
        through = all(self._through(batch, stopping) for batch in self._batches.take())
        self._count_lost()
        return through

    def _count_lost(self) -> None:
        if lost := self._batches.lost():
            self._count("dropped", lost)

    def _through(self, batch: Batch[T], stopping: threading.Event) -> bool:
        """Send a batch until it is through; tell whether it is. Once only when stopping."""
        try:
            parts = list(self._bodies(batch.items))
        except Exception:  # of protobuf: what it is sure to be of next time too
            self._log_unsendable()
            self._count("failed", len(batch.items))
            batch.release()
            return True
        if not all(self._is_sent(body, number, stopping) for body, number in parts):
            return False
        self._count("failed", batch.unreadable)
        batch.release()
        return True

    def _is_sent(self, body: bytes, number: int, stopping: threading.Event) -> bool:
        pause, told = _FIRST_PAUSE, False
        while True:
            answer = self._sender.send(body)
            if not answer.retry:
                self._judge(number, answer)
                return True
            if answer.in_doubt:
                self._count("doubtful", number)
            self._count_lost()
            if not told:
                self._log_waiting(answer.retry)
                told = True
            wait = min(_MOST_ASKED, answer.after) if answer.after is not None else pause
            # Not all installations at once, when their receiver comes back.
            if stopping.is_set() or stopping.wait(wait * random.uniform(1, 1.2)):
                return False
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _judge(self, number: int, answer: Answer) -> None:
        if answer.refused:
            self._log_refused(answer.refused, number)
            self._count("failed", number)
            # Who wants nothing of ours is not asked all the time.
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        else:
            self._pause = _PAUSE
            self._settle(number, *self._rejected(answer.accepted or b""))

    def _settle(self, number: int, left: int, why: str) -> None:
        left = min(left, number)
        if left:
            self._log_rejected(why, left)
            self._count("rejected", left)
        self._count("exported", number - left)

    @abstractmethod
    def _bodies(self, items: list[T]) -> Iterator[tuple[bytes, int]]:
        """Yield the bodies of requests, each with how many of them it has."""

    @abstractmethod
    def _rejected(self, answer: bytes) -> tuple[int, str]:
        """Return how many of them an accepting answer says it has left out, and its message."""

    @abstractmethod
    def _count(self, result: str, number: int) -> None: ...
    @abstractmethod
    def _log_unsendable(self) -> None: ...
    @abstractmethod
    def _log_waiting(self, why: str) -> None: ...
    @abstractmethod
    def _log_refused(self, why: str, number: int) -> None: ...
    @abstractmethod
    def _log_rejected(self, why: str, number: int) -> None: ...

    def close(self) -> None:
        """Close rings and connection."""
        self._batches.close()
        self._sender.close()


class SpanExporter(Exporter[Span]):
    """Sends spans."""

    def __init__(self, settings: Settings, url: str, stopping: threading.Event) -> None:
        super().__init__(
            Batches(settings.traces_path, records.decode, _spans_in),
            Sender(target(settings, Signal.TRACES, url), stopping),
        )
        self._resource = resource(settings)

    def _bodies(self, items: list[Span]) -> Iterator[tuple[bytes, int]]:
        return messages.bodies(items, self._resource)

    def _rejected(self, answer: bytes) -> tuple[int, str]:
        return messages.rejected(answer)

    def _count(self, result: str, number: int) -> None:
        signals.emit(signals.spans_ended, result=result, number=number)

    def _log_unsendable(self) -> None:
        _log.exception("spans cannot be sent")

    def _log_waiting(self, why: str) -> None:
        _log.warning("traces not taken, trying again", extra={"why": why})

    def _log_refused(self, why: str, number: int) -> None:
        _log.error("traces refused", extra={"why": why, "spans": number})

    def _log_rejected(self, why: str, number: int) -> None:
        _log.warning("spans rejected", extra={"why": why, "spans": number})


def _spans_in(record: bytes) -> int:
    """Return how many spans a record of a shape unknown seems to have, one at least."""
    try:
        return 1 + len(json.loads(record)["c"])
    except (ValueError, KeyError, TypeError):
        return 1
