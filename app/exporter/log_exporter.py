"""Sends lines of the service's log."""

import logging
import threading
from collections.abc import Callable, Iterator

from app.core import signals
from app.core.otlp_sender import Sender
from app.core.otlp_target import Signal, resource, target
from app.core.settings import Settings
from app.exporter import log_messages, messages
from app.exporter.batches import Batches
from app.exporter.exporters import Exporter
from app.tracing import log_records
from app.tracing.log_records import LogRecord

_log = logging.getLogger(__name__)


class LogExporter(Exporter[LogRecord]):
    """Sends lines of the service's log.

    Its own lines tell a trouble when it begins and its end, not each batch; they stay on standard
    output (see `app.cli.main`), or each refusal would be a line to be refused.
    """

    def __init__(self, settings: Settings, url: str, stopping: threading.Event) -> None:
        super().__init__(
            Batches(settings.logs_path, _line_of, lambda record: 1),
            Sender(target(settings, Signal.LOGS, url), stopping),
        )
        self._resource = resource(settings)
        self._trouble = ""

    def _bodies(self, items: list[LogRecord]) -> Iterator[tuple[bytes, int]]:
        return messages.in_bodies(items, lambda some: log_messages.request(some, self._resource))

    def _rejected(self, answer: bytes) -> tuple[int, str]:
        return log_messages.rejected(answer)

    def _count(self, result: str, number: int) -> None:
        signals.emit(signals.log_records_ended, result=result, number=number)

    def _settle(self, number: int, left: int, why: str) -> None:
        if self._trouble and not left:
            self._trouble = ""
            _log.info("log records taken again")
        super()._settle(number, left, why)

    def _log_unsendable(self) -> None:
        _log.exception("log records cannot be sent")

    def _log_waiting(self, why: str) -> None:
        self._tell(why, lambda: _log.warning("log records not taken", extra={"why": why}))

    def _log_refused(self, why: str, number: int) -> None:
        more = {"why": why, "records": number}
        self._tell(why, lambda: _log.error("log records refused", extra=more))

    def _log_rejected(self, why: str, number: int) -> None:
        more = {"why": why, "records": number}
        self._tell(why, lambda: _log.warning("log records rejected", extra=more))

    def _tell(self, trouble: str, log: Callable[[], None]) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            log()


def _line_of(record: bytes) -> list[LogRecord]:
    return [log_records.decode(record)]
