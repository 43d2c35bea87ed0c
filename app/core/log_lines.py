"""Log lines of one kind that are written very often: the bytes of `JsonFormatter`, prepared.

A LogRecord, a dictionary and an encoder cost several times what the rest of a small request costs.
What stays the same from line to line is encoded once here, and the line goes through the handler
that all others go through. Where logging is not configured as `app.core.logging` does it, a line is
an ordinary call of logging.
"""

import logging
import os
import time
from collections.abc import Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii

from app.core import logging as ours

_MOST_TEXTS = 1024


class LogLines:
    """Lines of one logger with one event."""

    def __init__(self, logger: logging.Logger, event: str) -> None:
        self._logger = logger
        self._event = event
        # Each pair is read and replaced as one: threads share them.
        self._moment = (-1, "")
        self._beginning: tuple[tuple[int, str, int] | None, str] = (None, "")

    def write(self, level: int, fields: Mapping[str, str | int | float]) -> None:
        """Write a line. `fields`: names that name no secret; text is redacted as everywhere."""
        if not self._logger.isEnabledFor(level):
            return
        handler = ours.handler()
        if handler is None or self._logger.handlers or not self._logger.propagate:
            self._logger.log(level, self._event, extra=fields)
            return
        line = self._line(level, fields)
        try:
            handler.acquire()
            try:
                handler.stream.write(line)
                handler.flush()
            finally:
                handler.release()
        except Exception:
            # As logging does it: no line of a log ends a request.
            record = logging.makeLogRecord({"msg": self._event, "levelno": level})
            handler.handleError(record)

    def _line(self, level: int, fields: Mapping[str, str | int | float]) -> str:
        pieces = [self._time(), self._same(level)]
        if current := ours.request_id.get():
            pieces.append(f', "request_id": {encode_basestring_ascii(current)}')
        if trace := ours.trace_id.get():
            pieces.append(f', "trace_id": {encode_basestring_ascii(trace)}')
        for name, value in fields.items():
            pieces.append(f', "{name}": {_json(value)}')
        pieces.append("}\n")
        return "".join(pieces)

    def _time(self) -> str:
        now, rest = divmod(time.time_ns(), 1_000_000_000)
        second, moment = self._moment
        if second != now:
            moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
            self._moment = (now, moment)
        return f'{{"time": "{moment}.{rest // 1_000_000:03d}+00:00"'

    def _same(self, level: int) -> str:
        """Return what is the same in every line of this process and level."""
        wanted = (level, ours.worker(), os.getpid())
        made_for, beginning = self._beginning
        if made_for != wanted:
            name = logging.getLevelName(level).lower()
            beginning = (
                f', "level": {encode_basestring_ascii(name)}'
                f', "logger": {encode_basestring_ascii(self._logger.name)}'
                f', "event": {encode_basestring_ascii(ours.redact(self._event))}'
                f', "worker": {encode_basestring_ascii(wanted[1])}, "pid": {wanted[2]}'
            )
            self._beginning = (wanted, beginning)
        return beginning


def _json(value: str | int | float) -> str:
    kind = type(value)
    if kind is str:
        return _text(value)
    # What is more than a plain number (a bool, an IntEnum) is the encoder's to write.
    return repr(value) if kind is int or kind is float else ours.encode(value)


@lru_cache(_MOST_TEXTS)
def _text(value: str) -> str:
    return encode_basestring_ascii(ours.redact(value))
