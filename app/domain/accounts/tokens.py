"""Opaque bearer tokens: random, prefixed so that logs can redact them, stored as digests only.

A digest without salt is enough here, since a token holds 256 bits of randomness (a password does
not; see `passwords`). Opaque rather than signed, so that revoking one takes effect at once.
"""

import hashlib
import hmac
import secrets

from app.storage import TokenKind

_PREFIXES = {TokenKind.ACCESS: "vbx_at_", TokenKind.REFRESH: "vbx_rt_"}
_API_KEY = "vbx_ak_"
_CONSOLE_COOKIE = "vbx_cc_"
_CONSOLE_SECRET = "vbx_cs_"
_INVITATION = "vbx_in_"
_TICKET = "vbx_ws_"
# Of an API key its owner sees so much again: enough to tell keys apart, too little to guess by.
_SHOWN = len(_API_KEY) + 5


def new_token(kind: TokenKind) -> str:
    """Return a new token of the kind."""
    return _PREFIXES[kind] + secrets.token_urlsafe(32)


def new_api_key() -> str:
    """Return a new API key."""
    return _API_KEY + secrets.token_urlsafe(32)


def new_console_cookie() -> str:
    """Return the half of a console's refresh token that its cookie holds."""
    return _CONSOLE_COOKIE + secrets.token_urlsafe(32)


def new_console_secret() -> str:
    """Return the half of a console's refresh token that its page keeps."""
    return _CONSOLE_SECRET + secrets.token_urlsafe(32)


def new_invitation() -> str:
    """Return the secret of a new invitation."""
    return _INVITATION + secrets.token_urlsafe(32)


def new_ticket() -> str:
    """Return the secret of a new ticket."""
    return _TICKET + secrets.token_urlsafe(32)


def is_api_key(token: str) -> bool:
    """Tell an API key from the tokens of a login, by its prefix."""
    return token.startswith(_API_KEY)


def beginning(key: str) -> str:
    """Return the part of an API key by which its owner recognises it."""
    return key[:_SHOWN]


def digest(token: str) -> str:
    """Return what is stored of a token: its SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


def console_digest(cookie: str, secret: str) -> str:
    """Return what is stored of a console's refresh token: a digest that needs both its halves.

    Keyed, so that no single text has it as its `digest`: it is no refresh token of the API.
    """
    return hmac.new(secret.encode(), cookie.encode(), hashlib.sha256).hexdigest()
