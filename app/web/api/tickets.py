"""/api/v1/ws-tickets."""

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import LimitReachedError, StorageUnavailableError
from app.web.api.answers import shown
from app.web.api.errors import TOKEN
from app.web.api.schemas.tickets import SocketTicketView
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

_CREATE = (*TOKEN, StorageUnavailableError, LimitReachedError)

api = APIBlueprint(
    "ws_tickets",
    __name__,
    url_prefix="/api/v1/ws-tickets",
    abp_tags=[Tag(name="WebSockets", description="Tickets that open them")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.post(
    "",
    summary="Get a ticket that opens one WebSocket within 30 seconds",
    responses={201: SocketTicketView, **problems(*_CREATE)},
)
def create() -> Answer:
    response = jsonify(shown(SocketTicketView, components().tickets.issue(identity())))
    response.headers["Cache-Control"] = "no-store"
    return response, 201
