"""/api/v1/teams: HTTP only; the rules are in `app.domain.teams.service`."""

from typing import Any

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import (
    MemberNotFoundError,
    TeamConflictError,
    TeamNameTakenError,
    TeamNotFoundError,
    UserNotFoundError,
)
from app.domain.authorization import ON_TEAMS, may
from app.web.api.answers import paged, shown
from app.web.api.errors import BODY, PARAMETERS, SIGNED_IN
from app.web.api.schemas.pages import PageQuery
from app.web.api.schemas.teams import (
    MemberPage,
    MemberPath,
    MemberRole,
    MemberView,
    NewMember,
    NewTeam,
    TeamPage,
    TeamPath,
    TeamView,
)
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

_ONE = (*PARAMETERS, TeamNotFoundError)
_CHANGE = (*BODY, *SIGNED_IN, TeamNotFoundError, TeamNameTakenError)
_CHANGE_MEMBER = (
    *BODY,
    *SIGNED_IN,
    TeamNotFoundError,
    UserNotFoundError,
    TeamConflictError,
)

api = APIBlueprint(
    "teams",
    __name__,
    url_prefix="/api/v1/teams",
    abp_tags=[Tag(name="teams", description="Teams and their members")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.post(
    "",
    summary="Make a team; you become its admin",
    responses={201: TeamView, **problems(*BODY, *SIGNED_IN, TeamNameTakenError)},
)
def create(body: NewTeam) -> Answer:
    team = components().teams.create(identity(), body.name)
    response = jsonify(_view(team))
    response.headers["Location"] = f"{api.url_prefix}/{team.id}"
    return response, 201


@api.get("", summary="List your teams", responses={200: TeamPage, **problems(*PARAMETERS)})
def index(query: PageQuery) -> Answer:
    page = components().teams.list(identity(), limit=query.limit, offset=query.offset)
    return paged(page, _view, query)


@api.get("/<team_id>", summary="One team", responses={200: TeamView, **problems(*_ONE)})
def show(path: TeamPath) -> Answer:
    return jsonify(_view(components().teams.get(identity(), path.team_id)))


@api.patch(
    "/<team_id>",
    summary="Rename a team",
    responses={200: TeamView, **problems(*_CHANGE)},
)
def change(path: TeamPath, body: NewTeam) -> Answer:
    return jsonify(_view(components().teams.rename(identity(), path.team_id, body.name)))


@api.delete(
    "/<team_id>",
    summary="Delete a team without projects",
    responses={204: None, **problems(*_ONE, TeamConflictError)},
)
def remove(path: TeamPath) -> Answer:
    components().teams.delete(identity(), path.team_id)
    return "", 204


@api.get(
    "/<team_id>/members",
    summary="List the members of a team",
    responses={200: MemberPage, **problems(*_ONE)},
)
def members(path: TeamPath, query: PageQuery) -> Answer:
    page = components().teams.members(
        identity(), path.team_id, limit=query.limit, offset=query.offset
    )
    return paged(page, _member, query)


@api.post(
    "/<team_id>/members",
    summary="Add a member by e-mail address",
    responses={201: MemberView, **problems(*_CHANGE_MEMBER)},
)
def invite(path: TeamPath, body: NewMember) -> Answer:
    member = components().teams.invite(identity(), path.team_id, body.email, body.role)
    return jsonify(_member(member)), 201


@api.put(
    "/<team_id>/members/<user_id>",
    summary="Add a member, or change their role",
    responses={200: MemberView, **problems(*_CHANGE_MEMBER)},
)
def put_member(path: MemberPath, body: MemberRole) -> Answer:
    teams = components().teams
    return jsonify(_member(teams.put_member(identity(), path.team_id, path.user_id, body.role)))


@api.delete(
    "/<team_id>/members/<user_id>",
    summary="Remove a member, or leave the team",
    responses={204: None, **problems(*_ONE, MemberNotFoundError, TeamConflictError)},
)
def remove_member(path: MemberPath) -> Answer:
    components().teams.remove_member(identity(), path.team_id, path.user_id)
    return "", 204


def _view(team: Any) -> dict[str, Any]:
    return shown(TeamView, team, may=may(identity(), ON_TEAMS, team.role))


def _member(member: Any) -> dict[str, Any]:
    return shown(MemberView, member)
