"""/api/v1/invitations, for operators: HTTP only.

The rules are in `app.domain.accounts.invitations`.
"""

from functools import partial

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import InvitationNotFoundError, RegistrationClosedError
from app.web.api.answers import paged, shown
from app.web.api.errors import BODY, PARAMETERS, SIGNED_IN
from app.web.api.schemas.accounts import (
    CreatedInvitation,
    InvitationPage,
    InvitationPath,
    InvitationView,
    NewInvitation,
)
from app.web.api.schemas.pages import PageQuery
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

api = APIBlueprint(
    "invitations",
    __name__,
    url_prefix="/api/v1/invitations",
    abp_tags=[Tag(name="administration", description="Accounts in the hands of operators")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.post(
    "",
    summary="Invite somebody: a link that makes one account (operators)",
    responses={201: CreatedInvitation, **problems(*BODY, *SIGNED_IN, RegistrationClosedError)},
)
def create(body: NewInvitation) -> Answer:
    made = components().invitations.create(identity(), body.email, body.expires_at)
    response = jsonify(shown(CreatedInvitation, made))
    response.headers["Cache-Control"] = "no-store"
    return response, 201


@api.get(
    "",
    summary="All invitations, newest first (operators)",
    responses={200: InvitationPage, **problems(*PARAMETERS)},
)
def index(query: PageQuery) -> Answer:
    page = components().invitations.list(identity(), limit=query.limit, offset=query.offset)
    return paged(page, partial(shown, InvitationView), query)


@api.delete(
    "/<invitation_id>",
    summary="Revoke an invitation that nobody has used (operators)",
    responses={204: None, **problems(*PARAMETERS, InvitationNotFoundError)},
)
def revoke(path: InvitationPath) -> Answer:
    components().invitations.revoke(identity(), path.invitation_id)
    return "", 204
