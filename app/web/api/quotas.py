"""/api/v1/quota, and the quotas that operators set: HTTP only.

The rules are in `app.domain.quotas.service`.
"""

from typing import Any

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import TeamNotFoundError, UserNotFoundError
from app.domain.quotas.service import OwnLimits
from app.web.api.answers import shown
from app.web.api.errors import BODY, PARAMETERS, SIGNED_IN
from app.web.api.schemas.quotas import NewQuota, QuotaQuery, QuotaView, TeamPath, UserPath
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

api = APIBlueprint(
    "quotas",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="quotas", description="What accounts and teams may have")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.get(
    "/quota",
    summary="Your quota, or a team's, and what is used of it",
    responses={200: QuotaView, **problems(*PARAMETERS, TeamNotFoundError)},
)
def show(query: QuotaQuery) -> Answer:
    return jsonify(_view(components().quotas.get(identity(), query.team_id)))


@api.put(
    "/users/<user_id>/quota",
    summary="Set the quota of an account (operators)",
    responses={200: QuotaView, **problems(*BODY, *SIGNED_IN, UserNotFoundError)},
)
def set_for_user(path: UserPath, body: NewQuota) -> Answer:
    limits = OwnLimits(**body.model_dump())
    return jsonify(_view(components().quotas.set_for_user(identity(), path.user_id, limits)))


@api.put(
    "/teams/<team_id>/quota",
    summary="Set the quota of a team (operators)",
    responses={200: QuotaView, **problems(*BODY, *SIGNED_IN, TeamNotFoundError)},
)
def set_for_team(path: TeamPath, body: NewQuota) -> Answer:
    limits = OwnLimits(**body.model_dump())
    return jsonify(_view(components().quotas.set_for_team(identity(), path.team_id, limits)))


def _view(quota: Any) -> dict[str, Any]:
    return shown(QuotaView, quota)
