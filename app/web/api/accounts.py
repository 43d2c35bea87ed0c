"""/api/v1/accounts, for operators: HTTP only.

The rules are in `app.domain.accounts.administration`.
"""

from typing import Any

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import (
    AccountDisabledError,
    AccountInUseError,
    LastOperatorError,
    ServerBusyError,
    UserNotFoundError,
)
from app.web.api.answers import paged, shown
from app.web.api.errors import BODY, PARAMETERS, SIGNED_IN
from app.web.api.schemas.accounts import (
    AccountPage,
    AccountPath,
    AccountQuery,
    AccountView,
    Deletion,
    NewPassword,
)
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

_ONE = (*PARAMETERS, UserNotFoundError)
_REMOVE = (*_ONE, AccountInUseError, LastOperatorError, AccountDisabledError)

api = APIBlueprint(
    "account_administration",
    __name__,
    url_prefix="/api/v1/accounts",
    abp_tags=[Tag(name="administration", description="Accounts in the hands of operators")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.get(
    "",
    summary="All accounts (operators)",
    responses={200: AccountPage, **problems(*PARAMETERS)},
)
def index(query: AccountQuery) -> Answer:
    page = components().administration.list(
        identity(), search=query.search, limit=query.limit, offset=query.offset
    )
    return paged(page, _view, query)


@api.get(
    "/<account_id>",
    summary="One account (operators)",
    responses={200: AccountView, **problems(*_ONE)},
)
def show(path: AccountPath) -> Answer:
    return jsonify(_view(components().administration.get(identity(), path.account_id)))


@api.post(
    "/<account_id>/disable",
    summary="End an account's logins and let none of its credentials be good (operators)",
    responses={200: AccountView, **problems(*_ONE, LastOperatorError)},
)
def disable(path: AccountPath) -> Answer:
    return jsonify(_view(components().administration.disable(identity(), path.account_id)))


@api.post(
    "/<account_id>/enable",
    summary="Let an account sign in again (operators)",
    responses={200: AccountView, **problems(*_ONE)},
)
def enable(path: AccountPath) -> Answer:
    return jsonify(_view(components().administration.enable(identity(), path.account_id)))


@api.put(
    "/<account_id>/password",
    summary="Give an account another password, and end its logins (operators)",
    responses={204: None, **problems(*BODY, *SIGNED_IN, ServerBusyError, UserNotFoundError)},
)
def set_password(path: AccountPath, body: NewPassword) -> Answer:
    components().administration.set_password(identity(), path.account_id, body.password)
    return "", 204


@api.delete(
    "/<account_id>",
    summary="Delete an account; environments and teams are handed over first (operators)",
    responses={204: None, **problems(*_REMOVE)},
)
def remove(path: AccountPath, query: Deletion) -> Answer:
    components().administration.delete(identity(), path.account_id, query.transfer_to)
    return "", 204


def _view(account: Any) -> dict[str, Any]:
    return shown(AccountView, account)
