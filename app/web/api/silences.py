"""/api/v1/alerts/silences, for operators: HTTP only; the rules are in `silences`."""

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import (
    AlertNotFoundError,
    AuthenticationError,
    InvalidInputError,
    InvalidTokenError,
    PermissionDeniedError,
    SilenceExistsError,
    SilenceNotFoundError,
    StorageUnavailableError,
    StoreNotSetError,
    StoreUnavailableError,
)
from app.web.api.lasting import takes_long
from app.web.api.schemas.silences import NewSilence, SilenceList, SilencePath, SilenceView
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, body_problems, problems
from app.web.services import components

_COMMON = (
    AuthenticationError,
    InvalidTokenError,
    PermissionDeniedError,
    StorageUnavailableError,
    StoreNotSetError,
    StoreUnavailableError,
)

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
    responses={200: SilenceList, **problems(*_COMMON)},
)
@takes_long
def index() -> Answer:
    found = components().silences.list(identity())
    view = SilenceList(items=[SilenceView.model_validate(one) for one in found])
    return jsonify(view.model_dump(mode="json"))


@api.post(
    "",
    summary="Silence an alert, or all of a name, for a while (operators)",
    responses={201: SilenceView, **body_problems(*_COMMON, AlertNotFoundError, SilenceExistsError)},
)
@takes_long
def create(body: NewSilence) -> Answer:
    made = components().silences.create(identity(), body.alert_id, body.duration, body.comment)
    return jsonify(SilenceView.model_validate(made).model_dump(mode="json")), 201


@api.delete(
    "/<silence_id>",
    summary="End a silence (operators)",
    responses={204: None, **problems(*_COMMON, InvalidInputError, SilenceNotFoundError)},
)
@takes_long
def end(path: SilencePath) -> Answer:
    components().silences.end(identity(), path.silence_id)
    return "", 204
