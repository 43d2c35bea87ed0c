"""The exporter's process: sends what all processes of a directory keep: traces, log lines, metrics.

Web server and agent each start one; the one that holds the lock works, the others wait for it. What
is not sent when it ends stays in the rings, for the next.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import time_ns

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from app.core.otlp_receivers import hint
from app.core.otlp_sender import Sender
from app.core.otlp_target import Signal, resource, target
from app.core.settings import Settings
from app.exporter.exporters import SpanExporter
from app.exporter.instance import instance_id
from app.exporter.log_exporter import LogExporter
from app.exporter.plans import Cumulative, Delta
from app.exporter.pusher import Pusher
from app.exporter.start_time import StartTime
from app.metrics import events
from app.metrics.backfill import directory_identity
from app.metrics.catalogue import health_check_up, registry
from app.metrics.inventory import Inventory
from app.wiring import open_database
from prefork_metrics.errors import MetricsDirectoryBusyError
from prefork_metrics.exposition import Exposition
from prefork_metrics.values import store

_LAST_PUSH_SECONDS = _LAST_LINES_SECONDS = 3.0
_log = logging.getLogger(__name__)


def run(settings: Settings, stopping: threading.Event) -> None:
    """Send until `stopping` is set, for who holds the lock of the directory."""
    directory = settings.traces_path
    events.connect()
    try:
        with _logs_sent(settings, stopping), _metrics_pushed(settings, directory, stopping):
            _send_traces(settings, stopping)
    finally:
        store.leave()  # the last push has been counted by now


def _send_traces(settings: Settings, stopping: threading.Event) -> None:
    if settings.traces_endpoint is None:
        stopping.wait()
        return
    _log.info("exporting traces")
    exporter = SpanExporter(settings, settings.traces_endpoint, stopping)
    try:
        exporter.run(stopping)
    finally:
        exporter.close()


@contextmanager
def _logs_sent(settings: Settings, stopping: threading.Event) -> Iterator[None]:
    """Send the lines of the service's log within, where they are to be."""
    if settings.logs_endpoint is None:
        yield
        return
    _log.info("exporting logs")
    exporter = LogExporter(settings, settings.logs_endpoint, stopping)

    def work() -> None:
        try:
            exporter.run(stopping)
        except Exception:
            # The supervisor starts another exporter.
            _log.exception("exporter of logs failed")
            os._exit(1)

    thread = threading.Thread(target=work, name="log-exporter", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(_LAST_LINES_SECONDS)
        if not thread.is_alive():
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
    inventory = Inventory(database, settings.scrape_timeout, with_business=settings.business)
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
