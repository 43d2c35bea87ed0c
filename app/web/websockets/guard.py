"""Who opens a WebSocket, and from which page.

A browser sends no Authorization header with a handshake and lets any page open one, cookies and
all: hence tickets, and the look at Origin. Programs may send their bearer token as ever.
"""

from flask import g, request

from app.core.addresses import canonical_origin
from app.core.errors import AuthenticationError, OriginRefusedError
from app.web import authentication
from app.web.services import components

TICKET_SUBPROTOCOL = "vibebox.ticket."


def authenticate() -> None:
    """Put the identity of the caller into the request's context; a before_request hook.

    Raises: OriginRefusedError, and as `accounts.guard.authenticate`.
    """
    if request.method == "OPTIONS":
        return
    refuse_foreign_origin()
    if "Authorization" in request.headers:
        authentication.authenticate()
        return
    ticket = _ticket()
    if ticket is None:
        raise AuthenticationError(
            "Get a ticket with POST /api/v1/ws-tickets and offer the subprotocols vibebox.v1 "
            "and vibebox.ticket.<ticket>, or send Authorization: Bearer <access token>."
        )
    with components().attempts.failures():
        g.identity = components().tickets.redeem(ticket)
    authentication.note_caller()


def refuse_foreign_origin() -> None:
    """Raise OriginRefusedError for a page that is neither ours nor one of the settings."""
    origin = request.headers.get("Origin")
    if origin is not None and not is_allowed_origin(origin):
        raise OriginRefusedError


def is_allowed_origin(origin: str) -> bool:
    """Tell whether an Origin header names the host that was asked, or one of the settings."""
    try:
        page = canonical_origin(origin)
        scheme, _, _ = page.partition("://")
        return page == canonical_origin(f"{scheme}://{request.host}") or (
            page in components().settings.origins
        )
    except ValueError:
        return False


def _ticket() -> str | None:
    """Return the ticket that is offered as a subprotocol or in the query."""
    for offered in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        name = offered.strip()
        if name.startswith(TICKET_SUBPROTOCOL):
            return name.removeprefix(TICKET_SUBPROTOCOL)
    return request.args.get("ticket")
