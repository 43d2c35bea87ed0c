"""The request id and the one log line of each request.

`X-Request-ID` is honoured where it is well formed and made up otherwise; it is returned with every
response and stands in every log line of the request, so that a user's report leads to its log.
"""

import logging
import re
import uuid

from flask import Flask, Response, request

from app.exchange import Exchange, Exchanges
from app.logging import request_id

HEADER = "X-Request-ID"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}")
_PATH_SHOWN = 200
_log = logging.getLogger(__name__)


def init_app(app: Flask, exchanges: Exchanges) -> None:
    """Give each request an id and, when it is finished, a log line."""
    app.before_request(_identify)
    app.after_request(_return_id)
    exchanges.on_finish.append(_write_line)


def _identify() -> None:
    offered = request.headers.get(HEADER, "")
    request_id.set(offered if _WELL_FORMED.fullmatch(offered) else uuid.uuid4().hex)


def _return_id(response: Response) -> Response:
    response.headers[HEADER] = request_id.get()
    return response


def _write_line(exchange: Exchange) -> None:
    """Log the exchange; probes and scrapes at debug level, since they come every few seconds.

    The query string is left out: it may carry a token.
    """
    level = logging.DEBUG if exchange.route.startswith("/health") else logging.INFO
    if _log.isEnabledFor(level):
        fields = {
            "method": exchange.method,
            "route": exchange.route,
            "path": _readable(exchange.path)[:_PATH_SHOWN],
            "status": exchange.status,
            "duration_ms": round(exchange.seconds * 1000, 3),
        }
        _log.log(level, "request", extra=fields)
    request_id.set("")


def _readable(path: str) -> str:
    """Return the path as text: WSGI hands its bytes over as Latin-1 (PEP 3333)."""
    return path.encode("latin-1").decode("utf-8", "replace")
