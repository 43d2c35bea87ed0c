"""Opaque bearer tokens: random, prefixed so that logs can redact them, stored as digests only.

A digest without salt is enough here, since a token holds 256 bits of randomness (a password does
not; see `passwords`). Opaque rather than signed, so that revoking one takes effect at once.
"""

import hashlib
import secrets

from app.storage import TokenKind

_PREFIXES = {TokenKind.ACCESS: "vbx_at_", TokenKind.REFRESH: "vbx_rt_"}


def new_token(kind: TokenKind) -> str:
    """Return a new token of the kind."""
    return _PREFIXES[kind] + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """Return what is stored of a token: its SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()
