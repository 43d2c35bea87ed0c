"""The exporter's process: sends the traces that all processes of a directory keep, and metrics.

Web server and agent each start one; the one that holds the lock works, the others wait for it. What
is not sent when it ends stays in the rings, for the next.
"""

import logging
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import time_ns

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from app.core import signals
from app.core.otlp_receivers import hint
from app.core.settings import Settings
from app.exporter.batches import Batch, Batches
from app.exporter.instance import instance_id
from app.exporter.messages import bodies, rejected
from app.exporter.plans import Cumulative, Delta
from app.exporter.pusher import Pusher
from app.exporter.sender import Answer, Sender
from app.exporter.start_time import StartTime
from app.exporter.target import Signal, resource, target
from app.metrics import events
from app.metrics.backfill import directory_identity
from app.metrics.catalogue import health_check_up, registry
from app.metrics.inventory import Inventory
from app.wiring import open_database
from prefork_metrics.errors import MetricsDirectoryBusyError
from prefork_metrics.exposition import Exposition
from prefork_metrics.values import store

_PAUSE = 0.2
_LAST_PUSH_SECONDS = 3.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_MOST_ASKED = 300.0
"""Seconds of a Retry-After that are believed."""
_log = logging.getLogger(__name__)


def run(settings: Settings, stopping: threading.Event) -> None:
    """Send until `stopping` is set, for who holds the lock of the directory."""
    directory = settings.traces_path
    events.connect()
    try:
        with _metrics_pushed(settings, directory, stopping):
            _send_traces(settings, directory, stopping)
    finally:
        store.leave()  # the last push has been counted by now


def _send_traces(settings: Settings, directory: Path, stopping: threading.Event) -> None:
    if settings.traces_endpoint is None:
        stopping.wait()
        return
    _log.info("exporting traces")
    sender = Sender(target(settings, Signal.TRACES, settings.traces_endpoint), stopping)
    exporter = Exporter(Batches(directory), sender, settings)
    try:
        exporter.run(stopping)
    finally:
        exporter.close()


@contextmanager
def _metrics_pushed(
    settings: Settings, directory: Path, stopping: threading.Event
) -> Iterator[None]:
    """Push metrics within, where they are to be."""
    if settings.metrics_endpoint is None:
        yield
        return
    _log.info("pushing metrics")
    database = open_database(settings, 1)
    inventory = Inventory(database, settings.scrape_timeout)
    exposition = Exposition(registry, [inventory], always=[health_check_up])

    def collect() -> list[Metric]:
        body, _ = exposition.render("text/plain")
        return list(text_string_to_metric_families(body.decode()))

    pusher = Pusher(
        collect,
        Sender(target(settings, Signal.METRICS, settings.metrics_endpoint), stopping),
        _plan(settings, directory),
        settings.otel_metric_export_interval / 1000,
        stopping,
        partial(hint, temporality=settings.temporality),
    )
    pusher.start()
    try:
        yield
    finally:
        stopping.set()
        pusher.join(_LAST_PUSH_SECONDS)
        inventory.close()
        database.dispose()


def _plan(settings: Settings, directory: Path) -> Cumulative | Delta:
    start = StartTime(directory / "metrics-start.json", time_ns(), _identity)
    told = {"service.instance.id": instance_id(directory), **resource(settings)}
    if settings.temporality == "delta":
        return Delta(directory / "metrics-pushed.json", told, start)
    return Cumulative(told, start)


def _identity() -> str:
    """Return which metrics directory it is; nothing where that cannot be told now."""
    try:
        return directory_identity(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    except (OSError, MetricsDirectoryBusyError) as error:
        _log.warning("the start of the totals is guessed", extra={"why": str(error)})
        return ""


class Exporter:
    """Sends batch after batch, each until it is accepted or refused."""

    def __init__(self, batches: Batches, sender: Sender, settings: Settings) -> None:
        self._batches = batches
        self._sender = sender
        self._resource = resource(settings)

    def run(self, stopping: threading.Event) -> None:
        """Send until `stopping` is set; then once what there is."""
        while not stopping.is_set():
            for batch in self._batches.take():
                if not self._through(batch, stopping):
                    return
            stopping.wait(_PAUSE)
        for batch in self._batches.take():
            if not self._through(batch, stopping):
                return

    def _through(self, batch: Batch, stopping: threading.Event) -> bool:
        """Send a batch until it is through; tell whether it is. Once only when stopping."""
        try:
            parts = list(bodies(batch.spans, self._resource))
        except Exception:  # of protobuf: what it is sure to be of next time too
            _log.exception("spans cannot be sent")
            signals.emit(signals.spans_ended, result="failed", number=len(batch.spans))
            batch.release()
            return True
        if not all(self._is_sent(body, number, stopping) for body, number in parts):
            return False
        signals.emit(signals.spans_ended, result="failed", number=batch.unreadable)
        batch.release()
        return True

    def _is_sent(self, body: bytes, number: int, stopping: threading.Event) -> bool:
        pause, told = _FIRST_PAUSE, False
        while True:
            answer = self._sender.send(body)
            if not answer.retry:
                self._settle(number, answer)
                return True
            if answer.in_doubt:
                signals.emit(signals.spans_ended, result="doubtful", number=number)
            if not told:
                _log.warning("traces not taken, trying again", extra={"why": answer.retry})
                told = True
            wait = min(_MOST_ASKED, answer.after) if answer.after is not None else pause
            # Not all installations at once, when their receiver comes back.
            if stopping.is_set() or stopping.wait(wait * random.uniform(1, 1.2)):
                return False
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _settle(self, number: int, answer: Answer) -> None:
        if answer.refused:
            _log.error("traces refused", extra={"why": answer.refused, "spans": number})
            signals.emit(signals.spans_ended, result="failed", number=number)
        else:
            left, why = rejected(answer.accepted or b"")
            left = min(left, number)
            if left:
                _log.warning("spans rejected", extra={"why": why, "spans": left})
                signals.emit(signals.spans_ended, result="rejected", number=left)
            signals.emit(signals.spans_ended, result="exported", number=number - left)

    def close(self) -> None:
        self._batches.close()
        self._sender.close()
