"""/api/v1/environments/{id}/logs: HTTP only; the rules are in `app.domain.logs.service`."""

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.domain.logs.service import Search
from app.web.api.answers import shown
from app.web.api.errors import ENVIRONMENT
from app.web.api.lasting import takes_long
from app.web.api.schemas.logs import LogLineView, LogPageView, LogPath, LogQuery
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

api = APIBlueprint(
    "logs",
    __name__,
    url_prefix="/api/v1/environments",
    abp_tags=[Tag(name="logs", description="What containers wrote")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.get(
    "/<environment_id>/logs",
    summary="What an environment's containers wrote to stdout and stderr",
    responses={200: LogPageView, **problems(*ENVIRONMENT)},
)
@takes_long
def index(path: LogPath, query: LogQuery) -> Answer:
    page = components().logs.page(
        identity(),
        path.environment_id,
        Search(query.stream, query.since, query.until, query.search),
        order=query.order,
        limit=query.limit,
        cursor=query.cursor,
    )
    return jsonify(
        items=[shown(LogLineView, LogLineView.of(entry)) for entry in page.items],
        next_cursor=page.next_cursor,
        end_cursor=page.end_cursor,
    )
