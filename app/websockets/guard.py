"""Who opens a WebSocket, and from which page.

A browser sends no Authorization header with a handshake and lets any page open one, cookies and
all: hence tickets, and the look at Origin. Programs may send their bearer token as ever.
"""

from urllib.parse import SplitResult, urlsplit

from flask import g, request

from app.accounts import guard
from app.components import components
from app.errors import AuthenticationError, OriginRefusedError

TICKET_SUBPROTOCOL = "vibebox.ticket."
_PORTS = {"http": 80, "https": 443}


def authenticate() -> None:
    """Put the identity of the caller into the request's context; a before_request hook.

    Raises: OriginRefusedError, and as `accounts.guard.authenticate`.
    """
    if request.method == "OPTIONS":
        return
    refuse_foreign_origin()
    if "Authorization" in request.headers:
        guard.authenticate()
        return
    ticket = _ticket()
    if ticket is None:
        raise AuthenticationError(
            "Get a ticket with POST /api/v1/ws-tickets and offer the subprotocols vibebox.v1 "
            "and vibebox.ticket.<ticket>, or send Authorization: Bearer <access token>."
        )
    with components().attempts.failures():
        g.identity = components().tickets.redeem(ticket)


def refuse_foreign_origin() -> None:
    """Raise OriginRefusedError for a page that is neither ours nor one of the settings."""
    origin = request.headers.get("Origin")
    if origin is None:
        return
    if origin.lower() in components().settings.origins:
        return
    if not is_own_origin(origin):
        raise OriginRefusedError


def is_own_origin(origin: str) -> bool:
    """Tell whether an Origin header names the host that the request was sent to."""
    try:
        page = urlsplit(origin)
        ours = urlsplit(f"{page.scheme}://{request.host}")
        return bool(page.hostname) and page.hostname == ours.hostname and _port(page) == _port(ours)
    except ValueError:
        return False


def _ticket() -> str | None:
    """Return the ticket that is offered as a subprotocol or in the query."""
    for offered in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        name = offered.strip()
        if name.startswith(TICKET_SUBPROTOCOL):
            return name.removeprefix(TICKET_SUBPROTOCOL)
    return request.args.get("ticket")


def _port(url: SplitResult) -> int | None:
    """Return the port, which may be left out where the scheme implies it."""
    return url.port or _PORTS.get(url.scheme)
