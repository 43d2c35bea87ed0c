"""/api/v1/ws-tickets, and what the routes that become WebSockets have in common."""

from dataclasses import asdict

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import (
    AuthenticationError,
    HandshakeInvalidError,
    InvalidInputError,
    InvalidTokenError,
    LimitReachedError,
    OriginRefusedError,
    PermissionDeniedError,
    StorageUnavailableError,
    TooManySocketsError,
    UpgradeRequiredError,
)
from app.web.api.schemas.tickets import SocketTicketView
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

SOCKET = (
    AuthenticationError,
    InvalidTokenError,
    PermissionDeniedError,
    OriginRefusedError,
    InvalidInputError,
    StorageUnavailableError,
    UpgradeRequiredError,
    HandshakeInvalidError,
    TooManySocketsError,
)
"""What every route that becomes a WebSocket may answer instead."""

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
    responses={
        201: SocketTicketView,
        **problems(
            AuthenticationError, InvalidTokenError, StorageUnavailableError, LimitReachedError
        ),
    },
)
def create() -> Answer:
    response = jsonify(asdict(components().tickets.issue(identity())))
    response.headers["Cache-Control"] = "no-store"
    return response, 201
