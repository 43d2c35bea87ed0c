"""The opening handshake (RFC 6455, 4.2), and the response that becomes a WebSocket.

gunicorn sends the response's head with its first piece of body, an empty one. When it asks for the
next piece the handshake is done: the WebSocket gets a thread of its own, and the request's is free
again (see `app.web.gunicorn_worker.threads`). The exchange is over for everybody else when the head
is sent: see `prefork_metrics.exchange`.
"""

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Response, request
from websockets.datastructures import Headers
from websockets.http11 import Request as Handshake
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from app.core.context import context
from app.core.errors import HandshakeInvalidError, UpgradeRequiredError
from app.web.admission.held import Held
from app.web.services import components
from app.web.websockets.assembly import QUIET
from app.web.websockets.sockets import Handler, Handshaken, Opening, Sockets
from prefork_metrics.exchange import SOCKET

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from app.web.gunicorn_worker.served import ServedRequest

SUBPROTOCOL = Subprotocol("vibebox.v1")


def upgrade(kind: str, opening: Opening) -> Response:
    """Return the response that makes this request a WebSocket and serves it.

    Raises: UpgradeRequiredError, HandshakeInvalidError, TooManySocketsError, ShareExceededError.
    """
    headers = _accept()
    peer = request.environ.get(SOCKET)
    if peer is None:
        raise UpgradeRequiredError("This server cannot serve WebSockets; run VibeBox's own.")
    sockets = components().sockets
    body = _Body(sockets, sockets.admit(opening.access), peer, kind, opening.handler)
    response = _Upgrade(body, HTTPStatus.SWITCHING_PROTOCOLS)
    response.headers.clear()
    for name, value in headers:
        response.headers[name] = value
    return response


def _accept() -> list[tuple[str, str]]:
    """Check the handshake and return the headers of its answer."""
    protocol = ServerProtocol(select_subprotocol=_select, logger=QUIET)
    asked = Headers(list(request.headers.items()))
    version = request.environ.get("SERVER_PROTOCOL", "")
    answer = protocol.accept(
        Handshake(request.path, asked, method=request.method, protocol=version)
    )
    if answer.status_code == HTTPStatus.UPGRADE_REQUIRED:
        raise UpgradeRequiredError
    if answer.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
        raise HandshakeInvalidError(str(protocol.handshake_exc))
    return [(name, value) for name, value in answer.headers.raw_items() if name != "Date"]


def _select(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Select ours where it is offered; a client that offers none gets none."""
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


class _Upgrade(Response):
    """A response of status 101, whose body werkzeug would leave out."""

    def get_app_iter(self, environ: "WSGIEnvironment") -> Iterable[bytes]:
        body: Any = self.response
        return body  # type: ignore[no-any-return]


class _Body:
    """What gunicorn asks for pieces of body, and then the handler: see `served.Handler`."""

    def __init__(
        self,
        sockets: Sockets,
        held: Held,
        peer: socket.socket,
        kind: str,
        handler: Handler,
    ) -> None:
        self._sockets = sockets
        self._held = held
        self._peer = peer
        self._kind = kind
        self._handler = handler
        here = context.get()
        self._handshake = Handshaken(here.request_id, here.address, here.trace)
        self._goes_on = False

    def __iter__(self) -> Iterator[bytes]:
        yield b""  # the head is sent
        served: ServedRequest | None = getattr(self._peer, "request", None)
        if served is None:  # no worker of ours
            self.run()
        else:
            self._goes_on = True
            served.handler = self

    def close(self) -> None:
        """Give back the place of what became no WebSocket."""
        if not self._goes_on:
            self.give_up()

    def run(self) -> None:
        """Serve the WebSocket to its end."""
        try:
            # The server closes its own descriptor when it likes, and counts on doing so only once.
            with closing(self._peer.dup()) as peer:
                self._sockets.run(peer, self._kind, self._handler, self._held, self._handshake)
        finally:
            self.give_up()

    def give_up(self) -> None:
        """Give back the place; doing so again changes nothing."""
        self._held.close()
