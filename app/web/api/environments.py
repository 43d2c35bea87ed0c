"""/api/v1/environments: HTTP only; the rules are in `app.domain.environments.service`."""

from flask import jsonify

from app.core.errors import (
    EngineConflictError,
    EnvironmentConflictError,
    EnvironmentNameTakenError,
    EnvironmentNotFoundError,
    LimitsRefusedError,
    PortReservedError,
    ProjectNotFoundError,
    QuotaExceededError,
    SecretsNotSetUpError,
    TemplateNotFoundError,
)
from app.web.api import environment_lifecycle
from app.web.api.answers import paged

# Imported for the routes that it adds to the blueprint.
from app.web.api.environments_blueprint import api, view
from app.web.api.errors import BODY, ENGINE, ENVIRONMENT, PARAMETERS
from app.web.api.lasting import takes_long
from app.web.api.schemas.environment_views import EnvironmentPage, EnvironmentView
from app.web.api.schemas.environments import (
    EnvironmentChanges,
    EnvironmentPath,
    EnvironmentQuery,
    NewEnvironment,
)
from app.web.authentication import identity
from app.web.openapi import Answer, problems
from app.web.services import components

__all__ = ["api", "environment_lifecycle"]

_CREATE = (
    *PARAMETERS,
    *BODY,
    ProjectNotFoundError,
    TemplateNotFoundError,
    EnvironmentNameTakenError,
    QuotaExceededError,
    PortReservedError,
    SecretsNotSetUpError,
)
_CHANGE = (
    *PARAMETERS,
    *BODY,
    *ENGINE,
    EnvironmentNotFoundError,
    EnvironmentConflictError,
    EngineConflictError,
    LimitsRefusedError,
    EnvironmentNameTakenError,
    QuotaExceededError,
    PortReservedError,
    SecretsNotSetUpError,
)
_REMOVE = (*ENVIRONMENT, *ENGINE, EnvironmentConflictError, EngineConflictError)


@api.post(
    "",
    summary="Create an environment",
    responses={201: EnvironmentView, **problems(*_CREATE)},
)
def create(body: NewEnvironment) -> Answer:
    fields = body.named()
    environment = components().environments.create(
        identity(),
        fields,
        project_id=fields.pop("project_id", None),
        template=fields.pop("template", None),
    )
    response = jsonify(view(environment))
    response.headers["Location"] = f"{api.url_prefix}/{environment.id}"
    return response, 201


@api.get(
    "",
    summary="List the environments that you see",
    responses={200: EnvironmentPage, **problems(*PARAMETERS, ProjectNotFoundError)},
)
def index(query: EnvironmentQuery) -> Answer:
    page = components().environments.list(
        identity(),
        project_id=query.project_id,
        status=query.status,
        limit=query.limit,
        offset=query.offset,
    )
    return paged(page, view, query)


@api.get(
    "/<environment_id>",
    summary="One environment",
    responses={200: EnvironmentView, **problems(*ENVIRONMENT)},
)
def show(path: EnvironmentPath) -> Answer:
    return jsonify(view(components().environments.get(identity(), path.environment_id)))


@api.patch(
    "/<environment_id>",
    summary="Change an environment: limits at once, what needs a new container while stopped",
    responses={200: EnvironmentView, **problems(*_CHANGE)},
)
@takes_long
def change(path: EnvironmentPath, body: EnvironmentChanges) -> Answer:
    environments = components().environments
    return jsonify(view(environments.change(identity(), path.environment_id, body.named())))


@api.delete(
    "/<environment_id>",
    summary="Delete an environment, its container and its volume",
    responses={204: None, **problems(*_REMOVE)},
)
@takes_long
def remove(path: EnvironmentPath) -> Answer:
    components().environments.delete(identity(), path.environment_id)
    return "", 204
