"""For which hosts requests are served: 421 for any other.

A page of any name can have that name resolved to this service (DNS rebinding) and is then, to a
browser, of one origin with it. What a page cannot change is the name that the browser asks for. So
what a browser or an account uses is served under known names only: localhost, loopback and other
addresses of this machine, HOST, and those of VIBEBOX_ALLOWED_HOSTS. Behind a trusted proxy and
without that list an unknown name is served, and told in the log.

Routes that no browser uses answer to any name: the health routes, which are asked by service names
and Pod addresses, and what takes a token of the service alone. `X-Forwarded-Host` is not looked at.
"""

import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import request

from app.core.addresses import Address, address_of, host_of
from app.core.errors import MisdirectedRequestError
from app.core.settings import Settings

ANY_HOST = frozenset(
    {
        "health.health",
        "health.live",
        "health.ready",
        "health.metrics",
        "alerts.receive",
        "user_telemetry.receive",
    }
)
"""Endpoints that answer to any name."""

_LOCALHOST = "localhost"
# Headers differ by port, case and dot only; more of them than this are parsed each time.
_REMEMBERED = 1024
_TOLD_AT_MOST = 100
_SHOWN = 100
_log = logging.getLogger(__name__)


def gate(settings: Settings) -> Callable[[], None]:
    """Return the before_request hook that refuses what is for an unknown host."""
    hosts = KnownHosts(
        settings.host,
        settings.hosts or frozenset(),
        only_told=settings.hosts is None and settings.trusted_proxies > 0,
    )

    def refuse_unknown() -> None:
        if not hosts.serves(request.environ) and request.endpoint not in ANY_HOST:
            # Asked of another host, it is a request for none of our routes.
            request.url_rule = None
            raise MisdirectedRequestError(_named(request.environ))

    return refuse_unknown


class KnownHosts:
    """The names of this service; `own` is HOST, `listed` what the operator names.

    With `only_told` unknown names are served as well, each with one warning.
    """

    def __init__(self, own: str, listed: frozenset[str], *, only_told: bool = False) -> None:
        self._own = own
        self._listed = listed
        self._only_told = only_told
        self._told: set[str] = set()
        # Host headers that were found good, as they came.
        self._known: set[str] = set()

    def serves(self, environ: Mapping[str, Any]) -> bool:
        """Tell whether the request is for one of the names, or names none (HTTP/1.0)."""
        header = environ.get("HTTP_HOST")
        if header in self._known and environ.get("RAW_URI", "/").startswith("/"):
            return True
        return header is None or self._look(environ, header)

    def _look(self, environ: Mapping[str, Any], header: str) -> bool:
        named = (header, *_in_target(environ))
        unknown = [host for host in named if not self._is_known(host)]
        if unknown and not self._only_told:
            return False
        for host in unknown:
            self._tell(host)
        if len(self._known) < _REMEMBERED:
            self._known.add(header)
        return True

    def _is_known(self, authority: str) -> bool:
        host = host_of(authority)
        if host is None:
            return False
        if host in (_LOCALHOST, self._own) or host in self._listed:
            return True
        address = address_of(host)
        return address is not None and (address.is_loopback or is_of_this_machine(address))

    def _tell(self, authority: str) -> None:
        host = host_of(authority) or authority[:_SHOWN]
        if host in self._told or len(self._told) >= _TOLD_AT_MOST:
            return
        self._told.add(host)
        _log.warning(
            "unknown host name; a later release refuses it",
            extra={"host": host, "setting": "VIBEBOX_ALLOWED_HOSTS"},
        )


def is_loopback_host(header: str | None) -> bool:
    """Tell whether a Host header names this machine to itself, or there is none (HTTP/1.0)."""
    if header is None:
        return True
    host = host_of(header)
    address = address_of(host or "")
    return host == _LOCALHOST or (address is not None and address.is_loopback)


def is_of_this_machine(address: Address) -> bool:
    """Tell whether a network interface of this machine has the address now.

    Asked by a bind, which the kernel allows for those only.
    """
    if address.is_unspecified or address.is_multicast:
        return False
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    scopes = [index for index, _ in socket.if_nameindex()] if address.is_link_local else [0]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            return any(_binds(probe, str(address), scope) for scope in scopes)
    except OSError:  # no IPv6 here, or no descriptor
        return False


def _binds(probe: socket.socket, address: str, scope: int) -> bool:
    try:
        probe.bind((address, 0, 0, scope) if probe.family == socket.AF_INET6 else (address, 0))
    except OSError:
        return False
    return True


def _in_target(environ: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the host of a request target that holds one (`GET http://host/`, RFC 9112, 3.2.2)."""
    target = environ.get("RAW_URI", "/")
    if target.startswith(("/", "*")):
        return ()
    try:
        return (urlsplit(target).netloc,)
    except ValueError:
        return ("",)


def _named(environ: Mapping[str, Any]) -> str:
    """Return what the request asked for, fit to be shown."""
    for authority in (*_in_target(environ), environ.get("HTTP_HOST") or ""):
        host = host_of(authority)
        if host != _LOCALHOST:
            return host or authority[:_SHOWN]
    return _LOCALHOST
