"""WebSockets of the service, opened with the token of a program: it may send headers."""

import json
import os
import ssl
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from app.cli.client.api import Api
from app.cli.client.errors import AwayError, ProblemError, UnreachableError
from app.cli.client.transport import LOOPBACK, OPERATION_SECONDS

_SUBPROTOCOLS: Any = ["vibebox.v1"]
_GATEWAYS = (502, 503, 504)
# A connection that gives no sign of life for so long is given up; the service waits 40 seconds.
_PING_SECONDS = 15.0


def open_socket(api: Api, path: str, *, seconds: float | None = None) -> ClientConnection:
    """Open the WebSocket at `path` within so many seconds; close it after use.

    Raises: ProblemError, AwayError, UnreachableError, RefusedError where nobody is logged in.
    """
    token = api.bearer.token()
    try:
        return _connected(api.url, path, token, seconds)
    except ProblemError as error:
        # As for requests: the clocks differ, or the token was revoked.
        fresh = api.bearer.renewed(token) if error.slug == "invalid-token" else None
        if fresh is None:
            raise
    return _connected(api.url, path, fresh, seconds)


def _connected(url: str, path: str, token: str, seconds: float | None) -> ClientConnection:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    authority = os.environ.get("REQUESTS_CA_BUNDLE") or None
    try:
        return connect(
            f"{'wss' if secure else 'ws'}://{parts.netloc}{parts.path}/api/v1{path}",
            additional_headers={"Authorization": f"Bearer {token}"},
            subprotocols=_SUBPROTOCOLS,
            compression=None,
            ssl=ssl.create_default_context(cafile=authority) if secure else None,
            # As for requests: a proxy that the environment names is for other hosts than this one.
            proxy=None if parts.hostname in LOOPBACK else True,
            open_timeout=OPERATION_SECONDS if seconds is None else seconds,
            ping_interval=_PING_SECONDS,
            ping_timeout=_PING_SECONDS,
        )
    except InvalidStatus as error:
        raise _refusal(url, error) from error
    except (OSError, InvalidHandshake, TimeoutError) as error:
        raise AwayError(
            f"No WebSocket could be opened at {url}: {error}.",
            "Look whether `vibebox ls` works; a proxy in between has to let WebSockets through.",
        ) from error


def _refusal(url: str, error: InvalidStatus) -> Exception:
    response = error.response
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        try:
            return ProblemError(json.loads(bytes(response.body or b"")), response.status_code)
        except ValueError:
            pass  # a stranger's, after all
    if response.status_code in _GATEWAYS:
        return AwayError(
            f"A proxy before {url} answers {response.status_code}.",
            "The service behind it may be starting; try again in a few seconds.",
        )
    return UnreachableError(
        f"Something answers at {url}, with status {response.status_code}: no VibeBox that serves "
        "terminals.",
        "Name the address of VibeBox with --url or VIBEBOX_URL.",
    )
