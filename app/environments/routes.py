"""/api/v1/environments: HTTP only; the rules are in `service`."""

from typing import Any

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.accounts.guard import authenticate, identity
from app.components import components
from app.environments.schemas import (
    EnvironmentChanges,
    EnvironmentPage,
    EnvironmentPath,
    EnvironmentQuery,
    EnvironmentView,
    NewEnvironment,
)
from app.errors import (
    AuthenticationError,
    BodyTooLargeError,
    EngineConflictError,
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    EnvironmentConflictError,
    EnvironmentNameTakenError,
    EnvironmentNotFoundError,
    ExecutableMissingError,
    ImageMissingError,
    InvalidInputError,
    InvalidTokenError,
    MalformedBodyError,
    PermissionDeniedError,
    PortTakenError,
    ProjectNotFoundError,
    QuotaExceededError,
    StorageUnavailableError,
)
from app.openapi import BEARER, Answer, problems

_COMMON = (
    AuthenticationError,
    InvalidTokenError,
    PermissionDeniedError,
    StorageUnavailableError,
    InvalidInputError,
)
_BODY = (*_COMMON, MalformedBodyError, BodyTooLargeError)
_ONE = (*_COMMON, EnvironmentNotFoundError)
_ENGINE = (EngineUnreachableError, EngineTimeoutError, EngineError)
_LAUNCH = (
    *_ONE,
    *_ENGINE,
    EnvironmentConflictError,
    QuotaExceededError,
    EngineConflictError,
    PortTakenError,
    ImageMissingError,
    ExecutableMissingError,
)

api = APIBlueprint(
    "environments",
    __name__,
    url_prefix="/api/v1/environments",
    abp_tags=[Tag(name="environments", description="Environments and their containers")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.post(
    "",
    summary="Create an environment",
    responses={
        201: EnvironmentView,
        **problems(*_BODY, ProjectNotFoundError, EnvironmentNameTakenError, QuotaExceededError),
    },
)
def create(body: NewEnvironment) -> Answer:
    settings = components().settings
    fields = body.model_dump(exclude={"project_id"})
    fields["cpu_limit"] = body.cpu_limit or settings.default_cpu_limit
    fields["memory_limit_mb"] = body.memory_limit_mb or settings.default_memory_limit_mb
    environment = components().environments.create(identity(), fields, body.project_id)
    response = jsonify(_view(environment))
    response.headers["Location"] = f"{api.url_prefix}/{environment.id}"
    return response, 201


@api.get(
    "",
    summary="List the environments that you see",
    responses={200: EnvironmentPage, **problems(*_COMMON, ProjectNotFoundError)},
)
def index(query: EnvironmentQuery) -> Answer:
    page = components().environments.list(
        identity(),
        project_id=query.project_id,
        status=query.status,
        limit=query.limit,
        offset=query.offset,
    )
    return jsonify(
        items=[_view(environment) for environment in page.items],
        total=page.total,
        limit=query.limit,
        offset=query.offset,
    )


@api.get(
    "/<environment_id>",
    summary="One environment",
    responses={200: EnvironmentView, **problems(*_ONE)},
)
def show(path: EnvironmentPath) -> Answer:
    return jsonify(_view(components().environments.get(identity(), path.environment_id)))


@api.patch(
    "/<environment_id>",
    summary="Change an environment; all but its name need it stopped",
    responses={
        200: EnvironmentView,
        **problems(
            *_BODY,
            *_ENGINE,
            EnvironmentNotFoundError,
            EnvironmentConflictError,
            EnvironmentNameTakenError,
        ),
    },
)
def change(path: EnvironmentPath, body: EnvironmentChanges) -> Answer:
    fields = body.model_dump(exclude_unset=True)
    environments = components().environments
    return jsonify(_view(environments.change(identity(), path.environment_id, fields)))


@api.delete(
    "/<environment_id>",
    summary="Delete an environment and its container",
    responses={204: None, **problems(*_ONE, *_ENGINE, EnvironmentConflictError)},
)
def remove(path: EnvironmentPath) -> Answer:
    components().environments.delete(identity(), path.environment_id)
    return "", 204


@api.post(
    "/<environment_id>/start",
    summary="Start an environment",
    responses={200: EnvironmentView, **problems(*_LAUNCH)},
)
def start(path: EnvironmentPath) -> Answer:
    return jsonify(_view(components().environments.start(identity(), path.environment_id)))


@api.post(
    "/<environment_id>/stop",
    summary="Stop an environment; its container stays",
    responses={
        200: EnvironmentView,
        **problems(*_ONE, *_ENGINE, EnvironmentConflictError, EngineConflictError),
    },
)
def stop(path: EnvironmentPath) -> Answer:
    return jsonify(_view(components().environments.stop(identity(), path.environment_id)))


@api.post(
    "/<environment_id>/restart",
    summary="Restart an environment",
    responses={200: EnvironmentView, **problems(*_LAUNCH)},
)
def restart(path: EnvironmentPath) -> Answer:
    environments = components().environments
    return jsonify(_view(environments.restart(identity(), path.environment_id)))


def _view(environment: Any) -> dict[str, Any]:
    return EnvironmentView.model_validate(environment).model_dump(mode="json")
