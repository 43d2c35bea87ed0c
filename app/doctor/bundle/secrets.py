"""What of the environment is secret, and text without it.

Two nets, since a bundle leaves the house. What is known to be secret, each value of a setting that
may hold one, is taken out wherever it stands and in whichever way it is written; and what looks
like a secret, as the log has it (`app.core.logging.redact`).
"""

import json
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from app.core.logging import SECRET_NAME, redact
from app.core.settings import MAY_HOLD_SECRETS

INSTEAD = "[redacted]"
_SHORTEST = 4
"""Characters of a secret that is looked for everywhere: shorter ones are in every text."""
_SCHEMES = ("bearer", "basic", "true", "false")


def secrets_of(environment: Mapping[str, str]) -> frozenset[str]:
    """Return each secret that the environment holds, as it stands there and as it is meant."""
    found: set[str] = set()
    for name, value in environment.items():
        if name.upper() in MAY_HOLD_SECRETS or SECRET_NAME.search(name):
            for piece in _pieces(value):
                found |= {piece, unquote(piece), piece.strip()}
    return frozenset(one for one in found if len(one) >= _SHORTEST and one.lower() not in _SCHEMES)


def without(text: str, secrets: frozenset[str]) -> str:
    """Return the text with none of these in it, nor anything that looks like one."""
    ways = {way for secret in secrets for way in _ways(secret)}
    for way in sorted(ways, key=len, reverse=True):
        text = text.replace(way, INSTEAD)
    return redact(text)


def shown_url(url: str) -> str:
    """Return an address without its login, and without what stands behind a question mark."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    if parts.scheme.startswith("http"):  # the name alone may be a token
        shown = INSTEAD
    else:
        shown = f"{user}:{INSTEAD}" if colon else user
    query = f"?{INSTEAD}" if parts.query or parts.fragment else ""
    return f"{parts.scheme}://{shown + at if at else ''}{host}{parts.path}{query}"


def _ways(secret: str) -> Iterator[str]:
    """Yield how a text may write it: as it is, in an address, in JSON."""
    yield secret
    yield quote(secret)
    yield quote(secret, safe="")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]


def _pieces(value: str) -> Iterator[str]:
    """Yield what of a setting may be secret: of an address its login and query, else all of it."""
    if "://" in value:
        yield from _of_url(value)
        return
    yield value
    for member in value.split(","):
        yield member
        _, sign, behind = member.partition("=")
        if sign:
            yield behind
            yield from unquote(behind).split()


def _of_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:  # no setting that can be used: nothing of it is shown
        yield url
        return
    login, _, _ = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    yield password
    # The name of a database's user is in every sentence about it, and no secret.
    if parts.scheme.startswith("http"):
        yield user
        yield login
        yield from (value for _, value in parse_qsl(parts.query))
    yield from (value for name, value in parse_qsl(parts.query) if SECRET_NAME.search(name))
