"""JSON logs on standard output: one object a line, bound to the request, without secrets.

One event is one line with fields rather than a sentence. The id of a request comes from a context
variable, so that a line written deep in a service carries it too.
"""

import json
import logging
import logging.config
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from app.core.context import context

# Our tokens carry a prefix of their own (see app.domain.accounts.tokens), by which they are found
# anywhere.
_SECRETS = (
    (re.compile(r"vbx_[a-z]+_[A-Za-z0-9_-]+"), "vbx_[redacted]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), r"\1 [redacted]"),
    # A quoted value to its closing quote, another one to where a word ends.
    (
        re.compile(
            r"(?i)((?:password|passwd|secret|token|api_key)['\"]?\s*[=:]\s*)"
            r"(?:(\")(?:\\.|[^\"\\])*\"?|(')(?:\\.|[^'\\])*'?|[^\s'\",&}]+)"
        ),
        r"\1\2\3[redacted]\2\3",
    ),
)
# An address and what follows it, taken as one: a pattern for its login, tried at each of many
# addresses, would read what follows all of them each time.
_ADDRESS = re.compile(r"://[^:/@\s]*(?:://[^:/@\s]*|[^\s'\"])*")
_LOGIN = re.compile(r"://[^:/@\s]*:")
SECRET_NAME = re.compile(r"passw|secret|token|api_key|authorization|cookie", re.IGNORECASE)

# What any of the patterns needs; most text has none of it, and this is one search instead of four.
_HINT = re.compile(r"vbx_|bearer|basic|://|passw|secret|token|api_key", re.IGNORECASE)

# The place of this process among its siblings (web-0, web-1, …), reused by its successor.
_worker = {"worker": "master"}

Copy = Callable[[str, int, str], None]
"""Is given each line, its time (Unix nanoseconds) and the name of its logger."""

# Who sends the lines of this process on, beside standard output; it may raise nothing.
_copy: dict[str, Copy | None] = {"to": None}

# Attributes of every LogRecord; whatever else a record carries came through `extra=`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """Return `text` with tokens, passwords and credentials in URLs taken out."""
    if _HINT.search(text) is None:
        return text
    text = _ADDRESS.sub(_without_password, text)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _without_password(found: re.Match[str]) -> str:
    """Return an address without its password: up to the last @, as it may hold one by mistake."""
    address = found[0]
    end = address.rfind("@")
    login = _LOGIN.search(address, 0, max(0, end))
    if login is None:
        return address
    return f"{address[: login.end()]}[redacted]{address[end:]}"


# ASCII only, so that text which is no valid Unicode can be written too.
encode = json.JSONEncoder(default=lambda value: redact(str(value))).encode


def _clean(value: Any, name: str) -> Any:
    """Return the field `name` without secrets, whatever it is made of."""
    if isinstance(value, str):
        return "[redacted]" if SECRET_NAME.search(name) else redact(value)
    if isinstance(value, Mapping):
        return {str(key): _clean(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner, name) for inner in value]
    return value


class JsonFormatter(logging.Formatter):
    """Format a record as one line of JSON; fields given through `extra=` become keys."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": redact(record.getMessage()),
            **_worker,
            "pid": record.process,
        }
        here = context.get()
        if here.request_id:
            entry["request_id"] = here.request_id
        if (trace := here.trace) is not None:
            entry["trace_id"], entry["span_id"] = trace.trace_id, trace.span_id
        elif here.trace_id:
            entry["trace_id"] = here.trace_id
        for key, value in vars(record).items():
            if key not in _STANDARD and not key.startswith("_"):
                entry[key] = _clean(value, key)
        if record.exc_info:
            entry["exception"] = redact("".join(traceback.format_exception(*record.exc_info)))
        return encode(entry)


class StdoutHandler(logging.StreamHandler[Any]):
    """Where every line goes: to standard output, and to who sends lines on."""

    lock: Any  # logging declares that it may be None, which it is of no handler that writes

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; as logging has it, nothing of it ends a request."""
        try:
            line = self.format(record) + self.terminator
            self.put(line, round(record.created * 1e9), record.name)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def put(self, line: str, at_ns: int, logger: str) -> None:
        """Write a line; who calls holds the lock of the handler, which `flush` would take again."""
        if (copy := _copy["to"]) is not None:
            copy(line, at_ns, logger)
        stream = self.stream
        stream.write(line)
        stream.flush()


def config(level: str = "info") -> dict[str, Any]:
    """Return the logging configuration (`logging.config.dictConfig`) of every process.

    gunicorn's own loggers are included: its messages become JSON lines like all others.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {"stdout": {"()": StdoutHandler, "stream": sys.stdout, "formatter": "json"}},
        "root": {"level": level.upper(), "handlers": ["stdout"]},
        "loggers": {
            # The request line is ours; gunicorn's would repeat it, with the query.
            "gunicorn.access": {"handlers": [], "propagate": False},
            "gunicorn.error": {"level": level.upper(), "handlers": [], "propagate": True},
            # Alembic's info lines are its internals; `vibebox migrate` says what it did itself.
            "alembic": {"level": "WARNING"},
            # SQLAlchemy logs a pool under the module of its class; opening one is no event.
            "app.storage.pool": {"level": "WARNING"},
            # It warns of each connection that is closed after its use since enough are kept.
            "urllib3.connectionpool": {"level": "ERROR"},
        },
    }


def worker() -> str:
    """Return the place of this process, as its lines name it."""
    return _worker["worker"]


def handler() -> StdoutHandler | None:
    """Return the handler that every line goes through; None where logging is set up otherwise."""
    handlers = logging.root.handlers
    if len(handlers) != 1:
        return None
    (only,) = handlers
    if type(only) is not StdoutHandler or type(only.formatter) is not JsonFormatter:
        return None
    return None if only.filters else only


def configure(level: str = "info", worker: str = "master") -> None:
    """Send the logs of this process to standard output as JSON, under the worker's name."""
    _worker["worker"] = worker
    logging.config.dictConfig(config(level))


def copy_lines(to: Copy | None) -> None:
    """Have each line of this process, and of those it forks, given to `to` too."""
    _copy["to"] = to
