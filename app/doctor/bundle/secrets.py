"""What of the environment is secret, and text without it.

Two nets, since a bundle leaves the house. What is known to be secret, each value of a setting that
may hold one, is taken out wherever it stands and in whichever way it is written; and what looks
like a secret, as the log has it (`app.core.logging.redact`).
"""

import json
import re
import shlex
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from html import escape
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from app.core.logging import SECRET_NAME, redact
from app.core.settings import MAY_HOLD_SECRETS, Settings, environment_name
from app.metrics.catalogue import registry

INSTEAD = "[redacted]"
_SHORTEST = 4
"""Characters of a secret that is looked for everywhere: shorter ones are in every text."""
_COMMON = ("bearer", "basic", "true", "false", "admin", "root", "postgres", "postgresql", "redis")
OPTIONS = "GUNICORN_CMD_ARGS"
_VARIABLE = re.compile(r"((?:-e|--env?=)?([A-Za-z_]\w*)=)(.*)", re.DOTALL)


def secrets_of(environment: Mapping[str, str]) -> frozenset[str]:
    """Return each secret that the environment holds, as it stands there and as it is meant."""
    found: set[str] = set()
    for name, value in (*environment.items(), *_variables(environment.get(OPTIONS, ""))):
        # Whatever it is called, as the address of a proxy, a login is one.
        has_login = "://" in value and "@" in value
        if name.upper() in MAY_HOLD_SECRETS or SECRET_NAME.search(name) or has_login:
            for piece in _pieces(value):
                found |= {piece, unquote(piece), piece.strip()}
    common = _words()
    return frozenset(one for one in found if len(one) >= _SHORTEST and one.lower() not in common)


def without(text: str, secrets: frozenset[str]) -> str:
    """Return the text with none of these in it, nor anything that looks like one."""
    ways = {way for secret in secrets for way in _ways(secret)}
    for way in sorted(ways, key=len, reverse=True):
        text = text.replace(way, INSTEAD)
    return redact(text)


def shown_options(options: str) -> str:
    """Return options for gunicorn without the values of variables among them (`--env`)."""
    try:
        words = shlex.split(options)
    except ValueError:  # a quote that nothing closes
        return INSTEAD
    return shlex.join(
        word if found is None else f"{found[1]}{INSTEAD}"
        for word, found in ((word, _VARIABLE.fullmatch(word)) for word in words)
    )


def _variables(options: str) -> Iterator[tuple[str, str]]:
    with suppress(ValueError):
        found = map(_VARIABLE.fullmatch, shlex.split(options))
        yield from ((one[2], one[3]) for one in found if one is not None)


@cache
def _words() -> frozenset[str]:
    """Return words that every bundle holds: a gap in place of one would tell the secret.

    One that is such a word goes where an address or a setting has it (see `redact`).
    """
    settings = (environment_name(*one) for one in Settings.model_fields.items())
    names = " ".join((*settings, *(family.name for family in registry.families)))
    return frozenset((*_COMMON, *re.findall("[a-z0-9]+", names.lower())))


def shown_url(url: str) -> str:
    """Return an address without its login, and without what stands behind a question mark."""
    scheme, _, rest = url.partition("://")
    # Up to the last @: a password may hold one, and what ends a host, by mistake.
    login, at, behind = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    if scheme.startswith("http"):  # the name alone may be a token
        shown = INSTEAD
    else:
        shown = f"{user}:{INSTEAD}" if colon else user
    parts = urlsplit(f"{scheme}://{behind}")
    query = f"?{INSTEAD}" if parts.query or parts.fragment else ""
    return f"{scheme}://{shown + at if at else ''}{parts.netloc}{parts.path}{query}"


def _ways(secret: str) -> Iterator[str]:
    """Yield how a text may write it: as it is, in addresses, headers, pages, and all that in JSON.

    Twice in JSON: what a line of a log is made of stands in a document of such lines.
    """
    for written in _written(secret):
        for ascii_only in (True, False):
            once = json.dumps(written, ensure_ascii=ascii_only)[1:-1]
            yield from (written, once, json.dumps(once, ensure_ascii=ascii_only)[1:-1])


def _written(secret: str) -> Iterator[str]:
    yield from (
        secret,
        repr(secret)[1:-1],
        escape(secret),
        escape(secret).replace("&#x27;", "&#39;"),
    )
    for safe in ("/", "", " +"):  # the last one as SQLAlchemy does
        yield from _both_cases(secret, quote(secret, safe=safe))
    yield from _both_cases(secret, quote_plus(secret))
    encoded = secret.encode("utf-8", "surrogateescape")
    yield b64encode(encoded).decode()
    yield urlsafe_b64encode(encoded).decode().rstrip("=")


def _both_cases(secret: str, quoted: str) -> Iterator[str]:
    """Yield it with the hexadecimal digits of either case."""
    yield quoted
    if quoted != secret:
        yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)


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
            for word in unquote(behind).split():
                yield word
                yield from _of_basic(word)


def _of_basic(word: str) -> Iterator[str]:
    """Yield the login that a header of HTTP's Basic scheme holds, and its password."""
    try:
        login = b64decode(word, validate=True).decode()
    except ValueError:
        return
    _, colon, password = login.partition(":")
    if colon:
        yield from (login, password)


def _of_url(url: str) -> Iterator[str]:
    scheme, _, rest = url.partition("://")
    is_http = scheme.startswith("http")
    try:
        parts = urlsplit(url)
        queried = parse_qsl(parts.query)
    except ValueError:  # no setting that can be used: nothing of it is shown
        yield url
        return
    # To the @ before the host, and to the last one, which may be another by mistake.
    for login in {parts.netloc.rpartition("@")[0], rest.rpartition("@")[0]}:
        user, _, password = login.partition(":")
        yield password
        # As a header says it.
        yield f"{unquote(user)}:{unquote(password)}" if password else ""
        # The name of a database's user is in every sentence about it, and no secret.
        if is_http:
            yield user
            yield login
    yield from (value for name, value in queried if is_http or SECRET_NAME.search(name))
