"""Bearer authentication of a request (RFC 6750)."""

from flask import g, request

from app.core.errors import AuthenticationError
from app.core.trace_context import current
from app.domain.accounts.logins import Device
from app.domain.authorization import Identity
from app.web import synthetic
from app.web.services import components

_SAFE = ("GET", "HEAD")


def authenticate() -> None:
    """Put the identity of the caller into the request's context; a before_request hook.

    OPTIONS only tells which methods there are, and a browser's preflight carries no credentials.
    Raises: AuthenticationError where no bearer token is offered, InvalidTokenError where it is
    not a good one, TooManyAttemptsError where too many of this address were not, and
    TooManyChangesError where the account changes more than it may.
    """
    if request.method == "OPTIONS":
        return
    token = bearer_token()
    with components().attempts.failures():
        g.identity = components().accounts.authenticate(token)
    note_caller()
    if request.method not in _SAFE:
        components().admission.changes.count(g.identity.user_id)


def note_caller() -> None:
    """Count the request as that of its caller, who is known now; keep its trace where they ask."""
    if g.identity.is_synthetic:
        synthetic.note()
    trace = current()
    if trace is not None and trace.parent is not None:
        trace.sampled_by_known = trace.parent.sampled


def bearer_token() -> str:
    """Return the bearer token that is offered. Raises: AuthenticationError where none is."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthenticationError
    return token.strip()


def identity() -> Identity:
    """Return who is asking; only behind `authenticate`."""
    found: Identity = g.identity
    return found


def device() -> Device:
    """Return where the request comes from, for the list of logins."""
    return Device(request.remote_addr, request.headers.get("User-Agent"))
