"""/api/v1/environments/{id}/logs/stream: HTTP only, up to the handshake."""

from flask_openapi3 import APIBlueprint, Tag

from app.accounts.guard import identity
from app.components import components
from app.errors import EnvironmentNotFoundError
from app.logs.schemas import LogPath, LogStreamQuery
from app.openapi import BEARER, Answer, problems
from app.websockets.guard import authenticate
from app.websockets.routes import SOCKET
from app.websockets.schemas import websocket
from app.websockets.upgrade import upgrade

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
    responses={
        101: websocket("Messages: {cursor, id, at, stream, line}, each line once and in order."),
        **problems(*SOCKET, EnvironmentNotFoundError),
    },
)
def index(path: LogPath, query: LogStreamQuery) -> Answer:
    shown = components().streams.logs.open(identity(), path.environment_id, query.cursor)
    return upgrade("logs", shown)
