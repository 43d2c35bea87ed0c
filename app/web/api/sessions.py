"""Sessions over HTTP; the rules are in `app.domain.sessions.service`."""

from typing import Any

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import (
    ContainerNotFoundError,
    EngineConflictError,
    EnvironmentConflictError,
    EnvironmentNotFoundError,
    ExecutableMissingError,
    LimitReachedError,
    SessionConflictError,
    SessionNotEndedError,
    SessionNotFoundError,
    SessionStartError,
)
from app.web.api.answers import paged, shown
from app.web.api.errors import BODY, COMMANDS, ENVIRONMENT, PARAMETERS
from app.web.api.lasting import takes_long
from app.web.api.schemas.environments import EnvironmentPath
from app.web.api.schemas.sessions import (
    ConnectionView,
    NewSession,
    SessionPageView,
    SessionPath,
    SessionQuery,
    SessionView,
)
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

_CREATE = (
    *PARAMETERS,
    *BODY,
    *COMMANDS,
    EnvironmentNotFoundError,
    ContainerNotFoundError,
    EnvironmentConflictError,
    EngineConflictError,
    ExecutableMissingError,
    SessionStartError,
    SessionConflictError,
    LimitReachedError,
)
_CONNECTION = (
    *PARAMETERS,
    *COMMANDS,
    SessionNotFoundError,
    ContainerNotFoundError,
    SessionConflictError,
    EngineConflictError,
    ExecutableMissingError,
)
_REMOVE = (*PARAMETERS, *COMMANDS, SessionNotFoundError, SessionNotEndedError)

api = APIBlueprint(
    "sessions",
    __name__,
    url_prefix="/api/v1",
    abp_tags=[Tag(name="sessions", description="Shells, tmux and VS Code servers")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.post(
    "/environments/<environment_id>/sessions",
    summary="Start a session in a running environment",
    responses={201: SessionView, **problems(*_CREATE)},
)
@takes_long
def create(path: EnvironmentPath, body: NewSession) -> Answer:
    made = components().sessions.create(identity(), path.environment_id, body.type)
    response = jsonify(_view(made))
    response.headers["Location"] = f"{api.url_prefix}/sessions/{made.id}"
    return response, 201


@api.get(
    "/environments/<environment_id>/sessions",
    summary="The sessions of an environment, also those that have ended of late",
    responses={200: SessionPageView, **problems(*ENVIRONMENT)},
)
def index(path: EnvironmentPath, query: SessionQuery) -> Answer:
    page = components().sessions.list(
        identity(), path.environment_id, query.status, limit=query.limit, offset=query.offset
    )
    return paged(page, _view, query)


@api.get(
    "/sessions/<session_id>",
    summary="One session",
    responses={200: SessionView, **problems(*PARAMETERS, SessionNotFoundError)},
)
def show(path: SessionPath) -> Answer:
    return jsonify(_view(components().sessions.get(identity(), path.session_id)))


@api.get(
    "/sessions/<session_id>/connection",
    summary="Address and password of a VS Code server",
    responses={200: ConnectionView, **problems(*_CONNECTION)},
)
@takes_long
def connection(path: SessionPath) -> Answer:
    url, password = components().sessions.password(identity(), path.session_id)
    response = jsonify(connection_url=url, password=password)
    response.headers["Cache-Control"] = "no-store"
    return response


@api.delete(
    "/sessions/<session_id>",
    summary="End a session and what runs in it",
    responses={204: None, **problems(*_REMOVE)},
)
@takes_long
def remove(path: SessionPath) -> Answer:
    components().sessions.end(identity(), path.session_id)
    return "", 204


def _view(found: Any) -> dict[str, Any]:
    return shown(SessionView, found)
