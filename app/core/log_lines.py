"""Log lines of one kind that are written very often: the bytes of `JsonFormatter`, prepared.

A LogRecord, a dictionary and an encoder cost several times what the rest of a small request costs.
What stays the same from line to line is encoded once here, and the line goes through the handler
that all others go through. Where logging is not configured as `app.core.logging` does it, a line is
an ordinary call of logging.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any

from app.core import logging as ours
from app.core.context import context

_MOST_TEXTS = 1024
# Looking one up takes a tenth of what formatting it does.
_MILLISECONDS = tuple(f"{number:03d}" for number in range(1000))

# Asking the system at each line would be a call of it.
_process = [os.getpid()]
os.register_at_fork(after_in_child=lambda: _process.__setitem__(0, os.getpid()))
Fields = Mapping[str, str | int | float]


class Known:
    """Fields, and their text in a line."""

    __slots__ = ("fields", "text")

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.text = "".join(f', "{name}": {_json(value)}' for name, value in fields.items())


class LogLines:
    """Lines of one logger with one event."""

    def __init__(self, logger: logging.Logger, event: str) -> None:
        self._logger = logger
        self._event = event
        # Each pair is read and replaced as one: threads share them.
        self._moment = (-1, "")
        self._beginning: tuple[tuple[int, str, int] | None, str] = (None, "")
        self._known: dict[tuple[Any, ...], Known] = {}

    def known(self, key: tuple[Any, ...], fields: Callable[..., Fields]) -> "Known":
        """Return the fields that many lines have in common, by a key of which they are made."""
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_TEXTS:
                self._known.clear()
            found = self._known[key] = Known(fields(*key))
        return found

    def write(self, level: int, known: "Known", more: Mapping[str, str]) -> bool:
        """Write a line; tell whether lines of this level are wanted.

        more: further fields, as `milliseconds` and `text` make them; their names name no secret.
        """
        if not self._logger.isEnabledFor(level):
            return False
        handler = ours.handler()
        if handler is None or self._logger.handlers or not self._logger.propagate:
            extra = {name: json.loads(value) for name, value in more.items()}
            self._logger.log(level, self._event, extra={**known.fields, **extra})
            return True
        at_ns, fields = time.time_ns(), known.text
        for name, value in more.items():
            fields += f', "{name}": {value}'
        line = self._line(level, fields, at_ns)
        try:
            lock = handler.lock
            lock.acquire()  # not by `with`, which costs twice as much
            try:
                handler.put(line, at_ns, self._logger.name)
            finally:
                lock.release()
        except Exception:
            # As logging does it: no line of a log ends a request.
            record = logging.makeLogRecord({"msg": self._event, "levelno": level})
            handler.handleError(record)
        return True

    def _line(self, level: int, fields: str, at_ns: int) -> str:
        now, rest = divmod(at_ns, 1_000_000_000)
        second, moment = self._moment
        if second != now:
            moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
            self._moment = (now, moment)
        made_for, same = self._beginning
        worker = ours.worker()
        if made_for != (level, worker, _process[0]):
            made_for, same = self._beginning = self._begin(level, worker)
        ids = ""
        here = context.get()
        if here.request_id:
            ids = f', "request_id": {encode_basestring_ascii(here.request_id)}'
        if (trace := here.trace) is not None:  # hexadecimal digits need no encoding
            ids += f', "trace_id": "{trace.trace_id}", "span_id": "{trace.span_id}"'
        elif here.trace_id:
            ids += f', "trace_id": {encode_basestring_ascii(here.trace_id)}'
        milliseconds = _MILLISECONDS[rest // 1_000_000]
        return f'{{"time": "{moment}.{milliseconds}+00:00"{same}{ids}{fields}}}\n'

    def _begin(self, level: int, worker: str) -> tuple[tuple[int, str, int], str]:
        """Return what is the same in every line of this process and level, and whose it is."""
        name = logging.getLevelName(level).lower()
        return (level, worker, _process[0]), (
            f', "level": {encode_basestring_ascii(name)}'
            f', "logger": {encode_basestring_ascii(self._logger.name)}'
            f', "event": {encode_basestring_ascii(ours.redact(self._event))}'
            f', "worker": {encode_basestring_ascii(worker)}, "pid": {_process[0]}'
        )


def milliseconds(seconds: float) -> str:
    """Return the JSON of `round(seconds * 1000, 3)`, which itself takes twice as long."""
    digits = f"{seconds * 1000:.3f}".rstrip("0")
    return f"{digits}0" if digits[-1] == "." else digits


@lru_cache(_MOST_TEXTS)
def text(value: str) -> str:
    """Return the JSON of a text, without secrets."""
    return encode_basestring_ascii(ours.redact(value))


def _json(value: str | int | float) -> str:
    kind = type(value)
    if kind is str:
        return text(value)
    # What is more than a plain number (a bool, an IntEnum) is the encoder's to write.
    return repr(value) if kind is int or kind is float else ours.encode(value)
