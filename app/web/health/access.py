"""Who may read /health/metrics."""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from werkzeug.datastructures import Headers

from app.web.hosts import is_loopback_host

# A proxy on this host makes every client look like a loopback peer; each of these gives it away.
FORWARDING_HEADERS = (
    "Cf-Connecting-Ip",
    "Forwarded",
    "True-Client-Ip",
    "Via",
    "X-Client-Ip",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Forwarded-Server",
    "X-Real-Ip",
)


def peer_of(environ: Mapping[str, Any]) -> str:
    """Return the address of who is connected, whatever the headers of trusted proxies say.

    With trusted proxies REMOTE_ADDR is what they forwarded, and the real one is kept beside it.
    """
    kept: Mapping[str, Any] = environ.get("werkzeug.proxy_fix.orig") or environ
    return kept.get("REMOTE_ADDR") or ""


def may_scrape(peer: str, headers: Headers, token: str | None) -> bool:
    """Tell whether the request may read the metrics.

    A peer on this host that asked for it by a name of loopback and sent no forwarding header may;
    everybody else needs the bearer token, and where none is configured nobody else may. By another
    name a page in a browser on this host would read them (DNS rebinding).
    """
    if (
        _is_loopback(peer)
        and is_loopback_host(headers.get("Host"))
        and not any(name in headers for name in FORWARDING_HEADERS)
    ):
        return True
    if not token:
        return False
    scheme, _, offered = headers.get("Authorization", "").partition(" ")
    same = hmac.compare_digest(offered.strip().encode(), token.encode())
    return scheme.lower() == "bearer" and same


def _is_loopback(peer: str) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False  # a unix socket: whoever listens there is a proxy
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
