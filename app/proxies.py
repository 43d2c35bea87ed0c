"""The address of the client behind proxies that the operator trusts.

`X-Forwarded-For` is a header like any other: a client may send it too. It is believed only where
the operator says how many proxies stand before the service, and then only the entry that the
outermost of them wrote.
"""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix


def init_app(app: Flask, trusted: int) -> None:
    """Take the address of the client from `trusted` proxies; with none, from the connection."""
    if trusted > 0:
        # Nothing else of what proxies forward is used, so nothing else is believed.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=trusted, x_proto=0, x_host=0, x_port=0, x_prefix=0
        )
