"""Lines of the log on their way to the exporter: each is copied into a ring file of its process.

What is copied is the line as standard output has it, redacted and formatted; nothing is made of it
here but one record of bytes. A line is copied while the lock of its handler is held. So nothing
here may wait for anybody, nor log by that way: a line written meanwhile, by a signal's handler or
by ourselves, goes to standard output alone and is counted.
"""

import json
import logging
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from app.core import logging as ours
from app.core.settings import Settings
from app.tracing.installed import is_installed
from app.tracing.rings import RingWriter

SLOTS = 32
"""Files of a directory of lines: every process that logs has one."""
MOST_BYTES = 256 * 1024
"""Of a line; longer ones go to standard output alone, and are counted."""
_TRY_AGAIN_SECONDS = 30.0
_LOOK_SECONDS = 5.0
_HEAD = struct.Struct("<Q")
_log = logging.getLogger(__name__)


class LogCopy:
    """Copies the lines of this process, and of each that it forks into a ring of its own."""

    def __init__(self, directory: Path, total: int, without: tuple[str, ...] = ()) -> None:
        """directory, total: where rings lie, and their bytes together; without: names that loggers
        begin with whose lines stay here."""
        self._directory = directory
        self._total = total
        self._without = without
        self._writer: RingWriter | None = None
        self._is_busy = False
        self._missed = 0
        self._next_try = self._next_look = 0.0
        os.register_at_fork(after_in_child=self._begin_anew)

    def copy(self, line: str, at_ns: int, logger: str) -> None:
        """Copy a line; see `app.core.logging.Copy`."""
        if self._without and logger.startswith(self._without):
            return
        if self._is_busy:
            self._missed += 1
            return
        self._is_busy = True
        try:
            writer = self._writer
            if writer is None or monotonic() >= self._next_look:
                writer = self._open()
            if writer is None or not self._is_written(writer, line, at_ns):
                self._missed += 1
            if self._missed and writer is not None:
                writer.lose(self._missed)
                self._missed = 0
        except Exception as error:  # no line of a log ends a request
            self._missed += 1
            self._fail(error)
        finally:
            self._is_busy = False

    @staticmethod
    def _is_written(writer: RingWriter, line: str, at_ns: int) -> bool:
        return len(line) <= MOST_BYTES and writer.write(_HEAD.pack(at_ns) + line.encode())

    def _open(self) -> RingWriter | None:
        self._next_look = monotonic() + _LOOK_SECONDS
        if self._writer is not None and self._writer.is_gone:
            self._fail(FileNotFoundError("the directory was deleted"))
            self._next_try = 0.0
        if self._writer is None and monotonic() >= self._next_try:
            try:
                self._writer = RingWriter(self._directory, self._total, SLOTS)
            except OSError as error:
                self._fail(error)
        return self._writer

    def _fail(self, error: Exception) -> None:
        """Begin again later; the lines until then are counted once there is a ring."""
        self._next_try = monotonic() + _TRY_AGAIN_SECONDS
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        _log.warning("log records are lost", extra={"why": str(error)})

    def _begin_anew(self) -> None:
        """In a child: the ring is the parent's, and who was copying there does not go on here."""
        if self._writer is not None:
            self._writer.close()  # the parent's descriptor keeps the lock
        self._writer = None
        self._is_busy = False
        self._missed = 0
        self._next_try = 0.0


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A line, as the exporter reads it."""

    at_ns: int
    level: str
    logger: str
    event: str
    trace_id: str
    span_id: str
    process: str
    """Which process wrote it: its place, and its pid."""
    fields: Mapping[str, Any]


def decode(record: bytes) -> LogRecord:
    """Return the line of a record. Raises: ValueError, KeyError, TypeError for what is none."""
    if len(record) < _HEAD.size:
        raise ValueError("too short")
    (at_ns,) = _HEAD.unpack_from(record)
    found = json.loads(record[_HEAD.size :])
    del found["time"]
    return LogRecord(
        at_ns,
        str(found.pop("level")),
        str(found.pop("logger")),
        str(found.pop("event")),
        str(found.pop("trace_id", "")),
        str(found.pop("span_id", "")),
        f"{found.pop('worker')}:{int(found.pop('pid'))}",
        found,
    )


_installed: list[LogCopy] = []


def copy_logs(settings: Settings, without: tuple[str, ...] = ()) -> None:
    """Copy the log lines of this process, and of those it forks, for the exporter, where it sends
    them anywhere; `without`: names that loggers begin with whose lines are not copied.

    Calling it again changes nothing.
    """
    if settings.logs_endpoint is not None and is_installed() and not _installed:
        _installed.append(LogCopy(settings.logs_path, settings.logs_mb << 20, without))
        ours.copy_lines(_installed[0].copy)
