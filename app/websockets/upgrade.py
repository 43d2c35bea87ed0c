"""The opening handshake (RFC 6455, 4.2), and the response that becomes a WebSocket.

gunicorn sends the response's head with its first piece of body, an empty one; what is asked for the
next piece is asked in the request's thread, which so serves the WebSocket until it is over. The
exchange is over for everybody else when the head is sent: see `app.exchange`.
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

from app.admission.held import Held
from app.components import components
from app.errors import HandshakeInvalidError, UpgradeRequiredError
from app.logging import request_id
from app.websockets.assembly import QUIET
from app.websockets.sockets import Opening, Sockets, Talk

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SUBPROTOCOL = Subprotocol("vibebox.v1")
_SOCKET = "gunicorn.socket"


def upgrade(kind: str, opening: Opening) -> Response:
    """Return the response that makes this request a WebSocket and talks over it.

    Raises: UpgradeRequiredError, HandshakeInvalidError, TooManySocketsError, ShareExceededError.
    """
    headers = _accept()
    peer = request.environ.get(_SOCKET)
    if peer is None:
        raise UpgradeRequiredError("This server cannot serve WebSockets; run VibeBox's own.")
    sockets = components().sockets
    body = _Body(sockets, sockets.admit(opening.access), peer, kind, opening.talk)
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
    """What gunicorn asks for pieces of body; `close` gives the place back, whatever happened."""

    def __init__(
        self,
        sockets: Sockets,
        held: Held,
        peer: socket.socket,
        kind: str,
        talk: Talk,
    ) -> None:
        self._sockets = sockets
        self._held = held
        self._peer = peer
        self._kind = kind
        self._talk = talk
        self._id = request_id.get()

    def __iter__(self) -> Iterator[bytes]:
        yield b""  # the head is sent
        # gunicorn closes its own descriptor when it likes, and counts on doing so only once.
        with closing(self._peer.dup()) as peer:
            self._sockets.run(peer, self._kind, self._talk, self._held, self._id)

    def close(self) -> None:
        """Give back the place; closing again changes nothing."""
        self._held.close()
