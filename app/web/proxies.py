"""The address of the client behind proxies that the operator trusts.

`X-Forwarded-For` is a header like any other: a client may send it too. It is believed only where
the operator says how many proxies stand before the service, and then only the entry that the
outermost of them wrote. Some write the port of the client too: without it, or each connection of a
client would be another one.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def init_app(app: Flask, trusted: int) -> None:
    """Take the address of the client from `trusted` proxies; with none, from the connection."""
    if trusted > 0:
        # Nothing else of what proxies forward is used, so nothing else is believed.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            _WithoutPort(app.wsgi_app), x_for=trusted, x_proto=0, x_host=0, x_port=0, x_prefix=0
        )


class _WithoutPort:
    """Takes the port off the address of the client."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = without_port(environ.get("REMOTE_ADDR", ""))
        return self._app(environ, start_response)


def without_port(address: str) -> str:
    """Return `192.0.2.1` for `192.0.2.1:4711`, and `2001:db8::1` for `[2001:db8::1]:4711`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, _, port = address.partition(":")
    return host if port.isdigit() and "." in host else address
