"""/api/v1/projects: HTTP only; the rules are in `app.domain.projects.service`."""

from typing import Any

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import (
    ProjectNameTakenError,
    ProjectNotEmptyError,
    ProjectNotFoundError,
    TeamNotFoundError,
)
from app.domain.authorization import ON_PROJECTS, may
from app.web.api.answers import paged, shown
from app.web.api.errors import BODY, PARAMETERS, SIGNED_IN
from app.web.api.schemas.projects import (
    NewProject,
    ProjectChanges,
    ProjectPage,
    ProjectPath,
    ProjectQuery,
    ProjectView,
)
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

_ONE = (*PARAMETERS, ProjectNotFoundError)
_CREATE = (*BODY, *SIGNED_IN, TeamNotFoundError, ProjectNameTakenError)
_CHANGE = (*BODY, *SIGNED_IN, ProjectNotFoundError, ProjectNameTakenError)

api = APIBlueprint(
    "projects",
    __name__,
    url_prefix="/api/v1/projects",
    abp_tags=[Tag(name="projects", description="What environments belong to")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.post(
    "",
    summary="Make a project",
    responses={201: ProjectView, **problems(*_CREATE)},
)
def create(body: NewProject) -> Answer:
    project = components().projects.create(identity(), body.name, body.team_id)
    response = jsonify(_view(project))
    response.headers["Location"] = f"{api.url_prefix}/{project.id}"
    return response, 201


@api.get(
    "",
    summary="List the projects that you see",
    responses={200: ProjectPage, **problems(*PARAMETERS, TeamNotFoundError)},
)
def index(query: ProjectQuery) -> Answer:
    page = components().projects.list(
        identity(), team_id=query.team_id, limit=query.limit, offset=query.offset
    )
    return paged(page, _view, query)


@api.get("/<project_id>", summary="One project", responses={200: ProjectView, **problems(*_ONE)})
def show(path: ProjectPath) -> Answer:
    return jsonify(_view(components().projects.get(identity(), path.project_id)))


@api.patch(
    "/<project_id>",
    summary="Rename a project",
    responses={200: ProjectView, **problems(*_CHANGE)},
)
def change(path: ProjectPath, body: ProjectChanges) -> Answer:
    projects = components().projects
    return jsonify(_view(projects.rename(identity(), path.project_id, body.name)))


@api.delete(
    "/<project_id>",
    summary="Delete a project that holds no environments",
    responses={204: None, **problems(*_ONE, ProjectNotEmptyError)},
)
def remove(path: ProjectPath) -> Answer:
    components().projects.delete(identity(), path.project_id)
    return "", 204


def _view(project: Any) -> dict[str, Any]:
    return shown(ProjectView, project, may=may(identity(), ON_PROJECTS, project.caller_role))
