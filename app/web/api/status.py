"""/api/v1/environments/status/stream and /{id}/status/stream: HTTP only, up to the handshake."""

from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import EnvironmentNotFoundError
from app.web.api.errors import SOCKET
from app.web.api.schemas.environments import EnvironmentPath
from app.web.api.schemas.tickets import TicketQuery, websocket
from app.web.authentication import identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components
from app.web.websockets.guard import authenticate
from app.web.websockets.upgrade import upgrade

_STATUSES = websocket(
    "Messages: {id, status, error, at}, for each at the beginning and at each change; "
    "status is null for one that is gone."
)
_STATUS = websocket("Messages: {status, error, at}, at the beginning and at each change.")

api = APIBlueprint(
    "environment_streams",
    __name__,
    url_prefix="/api/v1/environments",
    abp_tags=[Tag(name="environments", description="Environments and their containers")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.get(
    "/status/stream",
    summary="The status of every environment that you see, over a WebSocket",
    responses={101: _STATUSES, **problems(*SOCKET)},
)
def statuses(query: TicketQuery) -> Answer:
    return upgrade("status", components().streams.status.open_all(identity()))


@api.get(
    "/<environment_id>/status/stream",
    summary="The status of an environment, over a WebSocket",
    responses={101: _STATUS, **problems(*SOCKET, EnvironmentNotFoundError)},
)
def status(path: EnvironmentPath, query: TicketQuery) -> Answer:
    return upgrade("status", components().streams.status.open(identity(), path.environment_id))
