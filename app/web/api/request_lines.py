"""/api/v1/requests/{id}/lines: HTTP only; the rules are in `app.explaining`."""

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import (
    RequestNotFoundError,
)
from app.explaining.answer import RequestLine
from app.web.api.answers import shown
from app.web.api.errors import PARAMETERS, STORE
from app.web.api.lasting import takes_long
from app.web.api.schemas.request_lines import RequestLinesView, RequestPath, RequestQuery
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

api = APIBlueprint(
    "request_lines",
    __name__,
    url_prefix="/api/v1/requests",
    abp_tags=[Tag(name="requests", description="What the service did for a request")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.get(
    "/<request_id>/lines",
    summary="The service's own log lines of a request or trace",
    responses={200: RequestLinesView, **problems(*PARAMETERS, RequestNotFoundError, *STORE)},
)
@takes_long
def index(path: RequestPath, query: RequestQuery) -> Answer:
    found = components().own_lines.of(
        identity(), path.request_id, since=query.since, until=query.until, limit=query.limit
    )
    return jsonify(items=[shown(RequestLine, line) for line in found])
