"""/api/v1/alerts/silences, for operators: HTTP only.

The rules are in `app.domain.alerts.silences`.
"""

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import (
    AlertNotFoundError,
    InvalidInputError,
    SilenceExistsError,
    SilenceNotFoundError,
)
from app.web.api.answers import shown
from app.web.api.errors import BODY, SIGNED_IN, STORE
from app.web.api.lasting import takes_long
from app.web.api.schemas.silences import NewSilence, SilenceList, SilencePath, SilenceView
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

_CREATE = (*BODY, *SIGNED_IN, *STORE, AlertNotFoundError, SilenceExistsError)
_END = (*SIGNED_IN, *STORE, InvalidInputError, SilenceNotFoundError)

api = APIBlueprint(
    "silences",
    __name__,
    url_prefix="/api/v1/alerts/silences",
    abp_tags=[Tag(name="alerts", description="What Alertmanager tells of this service")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.get(
    "",
    summary="The silences of Alertmanager that are not over (operators)",
    responses={200: SilenceList, **problems(*SIGNED_IN, *STORE)},
)
@takes_long
def index() -> Answer:
    found = components().silences.list(identity())
    return jsonify(items=[shown(SilenceView, one) for one in found])


@api.post(
    "",
    summary="Silence an alert, or all of a name, for a while (operators)",
    responses={201: SilenceView, **problems(*_CREATE)},
)
@takes_long
def create(body: NewSilence) -> Answer:
    made = components().silences.create(identity(), body.alert_id, body.duration, body.comment)
    return jsonify(shown(SilenceView, made)), 201


@api.delete(
    "/<silence_id>",
    summary="End a silence (operators)",
    responses={204: None, **problems(*_END)},
)
@takes_long
def end(path: SilencePath) -> Answer:
    components().silences.end(identity(), path.silence_id)
    return "", 204
