"""The request id and the one log line of each request.

`X-Request-ID` is honoured where it is well formed and made up otherwise; it is returned with every
response and stands in every log line of the request, so that a user's report leads to its log.
The trace id of a caller's `traceparent` (W3C Trace Context, level 1) stands there too; what it says
is read here, once.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

from flask import Response

from app.core.context import NOTHING, Context, context
from app.core.log_lines import LogLines, milliseconds, text
from app.core.named_in_path import environment_of
from app.core.random_ids import RandomIds
from app.core.trace_context import Parent, parse
from app.tracing.records import PATH_READ, shown_path
from prefork_metrics.exchange import Exchange

HEADER = "X-Request-ID"
SUBPROTOCOL = "vibebox.traceparent."
"""With a `traceparent` behind it, offered for a WebSocket."""
_KEY = "HTTP_X_REQUEST_ID"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}")
_WORTH_TELLING = 0.001
"""Seconds of a wait that stand in a line."""
# The name by which operators filter these lines, wherever this module lies.
_log = logging.getLogger("app.access")
_lines = LogLines(_log, "request")
_ids = RandomIds()


def identify(exchange: Exchange) -> None:
    """Give the request its id, before anything can refuse it."""
    environ = exchange.environ
    if environ is None:
        return
    offered = environ.get(_KEY, "")
    well_formed = offered and _WELL_FORMED.fullmatch(offered)
    exchange.request_id = id = offered if well_formed else _ids.new()
    parent = _parent(environ)
    if parent is not None:
        exchange.parent = parent
        exchange.trace_id = parent.trace_id
    # A proxy may hand over anything; the audit log keeps this much of an address.
    context.set(Context(id, environ.get("REMOTE_ADDR", "")[:64], exchange.trace_id))


def _parent(environ: Mapping[str, Any]) -> Parent | None:
    """Return what the caller says of its trace: in a header or, where a browser opens a WebSocket
    and can send none, in a subprotocol that it offers."""
    if header := environ.get("HTTP_TRACEPARENT"):
        return parse(header, environ.get("HTTP_TRACESTATE", ""))
    if offered := environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL"):
        for one in offered.split(","):
            name, found, value = one.strip().partition(SUBPROTOCOL)
            if found and not name:
                return parse(value)
    return None


def return_id(response: Response) -> Response:
    """Return the id with the response: an after_request hook."""
    # A third of what it costs to replace one.
    response.headers.add(HEADER, context.get().request_id)
    return response


def write_line(exchange: Exchange) -> None:
    """Log the exchange when it is finished; probes and scrapes at debug level.

    The query string is left out: it may carry a token.
    """
    level = logging.DEBUG if exchange.route.startswith("/health") else logging.INFO
    kind = exchange.method, exchange.route, exchange.path[:PATH_READ], exchange.status
    exchange.logged = _lines.write(level, _lines.known(kind, _named), _more(exchange))
    context.set(NOTHING)


def _named(method: str, route: str, path: str, status: int) -> dict[str, str | int]:
    """Return what many lines have in common."""
    fields: dict[str, str | int] = {
        "method": method,
        "route": route,
        "path": shown_path(path),
        "status": status,
    }
    if (environment := environment_of(route, path)) is not None:
        fields["environment_id"] = environment
    return fields


def _more(exchange: Exchange) -> dict[str, str]:
    """Return the JSON of the duration, and of what most requests have nothing of: a wait for a
    thread, or for the client; a refusal."""
    fields = {"duration_ms": milliseconds(exchange.seconds)}
    if exchange.queued >= _WORTH_TELLING:
        fields["queue_ms"] = milliseconds(exchange.queued)
    if exchange.client_seconds >= _WORTH_TELLING:
        fields["client_ms"] = milliseconds(exchange.client_seconds)
    if exchange.problem:
        fields["problem"] = text(exchange.problem)
    return fields
