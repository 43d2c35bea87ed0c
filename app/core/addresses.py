"""Hosts, authorities and origins as text: parsed, and written in one way each. Asks nobody.

A host is written in lower case, without the dot that may end it and without the brackets of IPv6,
and an IPv4 address inside an IPv6 one as the former: so two that are the same compare equal.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

SCHEME_PORTS = {"http": 80, "https": 443}
HIGHEST_PORT = 65535
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_LONGEST_NAME = 253
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_AUTHORITY = re.compile(r"(?P<host>\[[^\]\[]*\]|[^:\[\]]*)(:(?P<port>[0-9]{0,5}))?")

Address = IPv4Address | IPv6Address


def canonical_host(text: str) -> str:
    """Return the host name or IP address (IPv6 with or without brackets), written as above.

    Raises: ValueError where it is neither. A name that ends in a number is none (999.1.1.1), since
    browsers and resolvers take that for an address.
    """
    address = address_of(text)
    if address is not None:
        return str(address)
    name = _ascii(text).lower().removesuffix(".")
    labels = name.split(".")
    fits = len(name) <= _LONGEST_NAME and all(map(_LABEL.fullmatch, labels))
    if not fits or _NUMBER.fullmatch(labels[-1]):
        raise ValueError("must be a host name or an IP address")
    return name


def address_of(text: str) -> Address | None:
    """Return the IP address that the text is, None where it is none."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    if bare is not text and address.version == 4:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def host_of(authority: str) -> str | None:
    """Return the host of HOST[:PORT], as a Host header has it; None where it is not well formed."""
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None or int(parts["port"] or 0) > HIGHEST_PORT:
        return None
    try:
        return canonical_host(parts["host"])
    except ValueError:
        return None


def parsed_url(text: str, *schemes: str, hostless: bool = False) -> SplitResult:
    """Return the parts of a URL of one of the schemes, whose host and port are well formed.

    `hostless`: it may leave out the host.

    Raises: ValueError, which says what is wrong and shows nothing of the URL.
    """
    known = " or ".join(f"{scheme}://" for scheme in schemes)
    if not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise ValueError(f"must start with {known}")
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError("must hold a port from 1 to 65535, and IPv6 in brackets") from None
    if port == 0:
        raise ValueError("must hold a port from 1 to 65535")
    if not host:
        if hostless:
            return parts
        raise ValueError("must name a host")
    try:
        canonical_host(host)
    except ValueError:
        raise ValueError("must name a host by its name or IP address") from None
    return parts


def port_of(url: SplitResult, defaults: dict[str, int] = SCHEME_PORTS) -> int | None:
    """Return the port, which may be left out where the scheme implies it."""
    return url.port or defaults.get(url.scheme)


def canonical_origin(text: str) -> str:
    """Return SCHEME://HOST[:PORT] as a browser writes it. Raises: ValueError where it is none."""
    parts = parsed_url(text, *SCHEME_PORTS)
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must be a scheme, a host and perhaps a port, and nothing else")
    host = canonical_host(parts.hostname or "")
    port = "" if port_of(parts) == SCHEME_PORTS[parts.scheme] else f":{parts.port}"
    return f"{parts.scheme}://{bracketed(host)}{port}"


def bracketed(host: str) -> str:
    """Return the host as it stands in a URL: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _ascii(name: str) -> str:
    """Return a name of other letters as the resolver has it (IDNA)."""
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("must be a host name or an IP address") from None


def web_address(text: str) -> str | None:
    """Return an address that a page may link to, or none: a rule may hold javascript: as well."""
    try:
        return text if urlsplit(text).scheme in ("http", "https") else None
    except ValueError:
        return None
