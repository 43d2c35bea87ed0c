"""What the values of settings may be, beyond numbers: each is parsed at the start.

A host, address, URL or list that cannot be right refuses the start; otherwise it would be told by
the first request, container or look at it that fails.
"""

import os
import re
from collections.abc import Callable
from typing import Annotated, TypeVar
from urllib.parse import unquote, urlsplit

import limits
from pydantic import AfterValidator

from app.core.addresses import (
    HIGHEST_PORT,
    address_of,
    canonical_host,
    canonical_origin,
    parsed_url,
)

LOWEST_HOST_PORT = 1024
"""Below are the host's own services; a container gets none of them."""

PortRange = tuple[int, int]
_HIGHEST_PRICE = 1e9
_T = TypeVar("_T")


def host_names(text: str) -> frozenset[str]:
    """Return the hosts of a list, each as `canonical_host` writes it. Raises: ValueError."""
    return frozenset(_each(text, canonical_host))


def origins(text: str) -> frozenset[str]:
    """Return the origins of a list, each as a browser writes it. Raises: ValueError."""
    return frozenset(_each(text, canonical_origin))


def ports(text: str) -> frozenset[int]:
    """Return the port numbers of a list. Raises: ValueError."""
    return frozenset(_each(text, _port))


def port_ranges(text: str) -> tuple[PortRange, ...]:
    """Return the ranges of a list of ports and ranges (20000-29999), in order and joined.

    Raises: ValueError.
    """
    joined: list[PortRange] = []
    for first, last in sorted(_each(text, _range)):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


PRICED = (
    "running_hour",
    "cpu_hour",
    "memory_gib_hour",
    "network_rx_gib",
    "network_tx_gib",
    "block_read_gib",
    "block_write_gib",
    "volume_gib_hour",
    "layer_gib_hour",
)
"""What use may have a price by."""


def prices(text: str) -> dict[str, float]:
    """Return the prices of a list such as cpu_hour=0.04,memory_gib_hour=0.005.

    Raises: ValueError.
    """
    found: dict[str, float] = {}
    for unit, price in _each(text, _price):
        if unit in found:
            raise ValueError(f"has two prices for {unit}")
        found[unit] = price
    return found


def _price(text: str) -> tuple[str, float]:
    unit, _, number = text.partition("=")
    if unit.strip() not in PRICED:
        raise ValueError(f"has none of the units {', '.join(PRICED)}")
    try:
        price = float(number)
    except ValueError:
        price = -1.0
    if not 0 <= price < _HIGHEST_PRICE:
        raise ValueError("has no price: write a number, such as 0.04")
    return unit.strip(), price


def _each(text: str, parse: Callable[[str], _T]) -> list[_T]:
    """Parse the members of a list, separated by commas; the message names the one that is wrong."""
    found = []
    for part in (part.strip() for part in text.split(",")):
        try:
            if part:
                found.append(parse(part))
        except ValueError as error:
            raise ValueError(f"{part!r} {error}") from None
    return found


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= HIGHEST_PORT):
        raise ValueError(f"must be a port from 1 to {HIGHEST_PORT}")
    return int(text)


def _range(text: str) -> PortRange:
    first, dash, last = (part.strip() for part in text.partition("-"))
    bounds = _port(first), _port(last if dash else first)
    if not LOWEST_HOST_PORT <= bounds[0] <= bounds[1]:
        raise ValueError(
            f"must be a port or a range FIRST-LAST, from {LOWEST_HOST_PORT} to {HIGHEST_PORT}"
        )
    return bounds


def _ip_address(text: str) -> str:
    address = address_of(text)
    if address is None:
        raise ValueError("must be an IP address")
    return str(address)


def _http_url(text: str) -> str:
    parsed_url(text, "http", "https")
    return text


def _database_url(text: str) -> str:
    known = ("sqlite:///", "postgresql://", "postgres://", "postgresql+psycopg2://")
    if not text.startswith(known):
        raise ValueError("must start with sqlite:/// or postgresql://")
    return text


def _docker_host(text: str) -> str:
    if text.startswith("unix://"):
        if not text.removeprefix("unix://"):
            raise ValueError("must name a socket, as in unix:///var/run/docker.sock")
        return text
    # Docker's own way to write this host.
    whole = text.replace("tcp://:", "tcp://127.0.0.1:", 1)
    try:
        parts = parsed_url(whole, "tcp")
    except ValueError as error:
        if not text.startswith("tcp://"):
            raise ValueError("must start with unix:// or tcp://") from None
        raise error from None
    if parts.port is None:
        raise ValueError("must name a port, as in tcp://127.0.0.1:2375")
    return text


def _rate_limit_storage(text: str) -> str:
    if text != "memory://":
        if not text.startswith(("redis://", "rediss://")):
            raise ValueError("must be memory:// or start with redis:// or rediss://")
        parsed_url(text, "redis", "rediss", hostless=True)
    return text


def _rate(text: str) -> str:
    try:
        limits.parse(text)
    except ValueError:
        raise ValueError("must be a rate such as '10 per minute'") from None
    return text


def _checked(parse: Callable[[str], object]) -> AfterValidator:
    """Keep the text of a list as it was written, once it is known to be one."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


def pairs(text: str) -> dict[str, str]:
    """Return what `name=value,name=value` says; what has no name or no sign is left out."""
    found = {}
    for member in text.split(","):
        name, sign, value = member.partition("=")
        if sign and name.strip():
            found[unquote(name.strip())] = unquote(value.strip())
    return found


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\xa0-\xff]*")


def headers(text: str) -> dict[str, str]:
    """Return the headers that `name=value,name=value` says. Raises: ValueError (RFC 9110, 5.5)."""
    found = pairs(text)
    for name, value in found.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError("holds what no header may hold")
    return found


def below(url: str, path: str) -> str:
    """Return the URL of a path below that of another URL, whose query it keeps."""
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{path}", fragment="").geturl()


def _otlp_protocol(text: str) -> str:
    if text.lower() != "http/protobuf":
        raise ValueError(
            "must be http/protobuf, the only one that is spoken: name the receiver's endpoint for "
            "OTLP over HTTP, which has port 4318 as a rule"
        )
    return text.lower()


def _one_of(*names: str) -> AfterValidator:
    """Take one of these, in letters of any size."""

    def check(text: str) -> str:
        if text.lower() not in names:
            raise ValueError(f"must be {' or '.join(names)}")
        return text.lower()

    return AfterValidator(check)


def _readable(path: str) -> str:
    if not (os.path.isfile(path) and os.access(path, os.R_OK)):
        raise ValueError("names no file that can be read")
    return path


def is_text(value: str) -> bool:
    """Tell whether the value is UTF-8, as it is or percent-encoded."""
    try:
        value.encode()
        unquote(value, errors="strict")
    except UnicodeError:
        return False
    return True


Host = Annotated[str, AfterValidator(canonical_host)]
IpAddress = Annotated[str, AfterValidator(_ip_address)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
DockerHost = Annotated[str, AfterValidator(_docker_host)]
RateLimitStorage = Annotated[str, AfterValidator(_rate_limit_storage)]
Rate = Annotated[str, AfterValidator(_rate)]
HostNames = Annotated[str, _checked(host_names)]
Origins = Annotated[str, _checked(origins)]
PortList = Annotated[str, _checked(ports)]
Prices = Annotated[str, _checked(prices)]
PortRanges = Annotated[str, _checked(port_ranges)]
OtlpProtocol = Annotated[str, AfterValidator(_otlp_protocol)]
Compression = Annotated[str, _one_of("none", "gzip")]
Temporality = Annotated[str, _one_of("cumulative", "delta")]
SignalExporter = Annotated[str, _one_of("otlp", "none")]
ReadableFile = Annotated[str, AfterValidator(_readable)]
