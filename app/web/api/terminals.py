"""/api/v1/sessions/{id}/terminal: HTTP only, up to the handshake."""

from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import SessionConflictError, SessionNotFoundError
from app.web.api.errors import SOCKET
from app.web.api.schemas.sessions import SessionPath, TerminalQuery
from app.web.api.schemas.tickets import websocket
from app.web.authentication import identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components
from app.web.streams.terminal import AHEAD, WINDOW
from app.web.websockets.guard import authenticate
from app.web.websockets.upgrade import upgrade

_TERMINAL = websocket(
    "Binary messages are input and output, of 1 MiB at most; text messages are JSON: "
    "{type: resize, cols, rows}, {type: ping}, which is answered with {type: pong}, and "
    "{type: shown, bytes}: whoever says it once, with 0, is never sent more than "
    f"{AHEAD // 1024} KiB ahead of what it has shown since. "
    "With acknowledge=true, {type: taken, bytes} tells how much input the command has "
    f"taken since: whoever lets no more than {WINDOW // 1024} KiB wait is never kept "
    "waiting."
)
_ERRORS = (*SOCKET, SessionNotFoundError, SessionConflictError)

api = APIBlueprint(
    "terminals",
    __name__,
    url_prefix="/api/v1/sessions",
    abp_tags=[Tag(name="sessions", description="Shells, tmux and VS Code servers")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.get(
    "/<session_id>/terminal",
    summary="The terminal of a session, over a WebSocket",
    responses={101: _TERMINAL, **problems(*_ERRORS)},
)
def terminal(path: SessionPath, query: TerminalQuery) -> Answer:
    served = components().streams.terminals.open(
        identity(),
        path.session_id,
        (query.cols, query.rows),
        acknowledge=query.acknowledge,
    )
    return upgrade("terminal", served)
