"""/api/v1/environments/{id}/logs/stream: HTTP only, up to the handshake."""

from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import EnvironmentNotFoundError
from app.web.api.errors import SOCKET
from app.web.api.schemas.logs import LogPath, LogStreamQuery
from app.web.api.schemas.tickets import websocket
from app.web.authentication import identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components
from app.web.websockets.guard import authenticate
from app.web.websockets.upgrade import upgrade

_LINES = websocket("Messages: {cursor, id, at, stream, line}, each line once and in order.")

api = APIBlueprint(
    "log_streams",
    __name__,
    url_prefix="/api/v1/environments",
    abp_tags=[Tag(name="logs", description="What containers wrote")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.get(
    "/<environment_id>/logs/stream",
    summary="The log of an environment as it grows, over a WebSocket",
    responses={101: _LINES, **problems(*SOCKET, EnvironmentNotFoundError)},
)
def index(path: LogPath, query: LogStreamQuery) -> Answer:
    served = components().streams.logs.open(identity(), path.environment_id, query.cursor)
    return upgrade("logs", served)
