"""/api/v1/auth: registration, login and tokens."""

from dataclasses import asdict

from flask import jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from app.accounts.guard import authenticate, device, identity
from app.accounts.schemas import (
    CallerView,
    Credentials,
    RefreshToken,
    Registration,
    Tokens,
    UserView,
)
from app.accounts.service import TokenPair
from app.authorization import may_anywhere
from app.components import components
from app.errors import (
    AccountDisabledError,
    AuthenticationError,
    EmailTakenError,
    InvalidCredentialsError,
    InvalidTokenError,
    PermissionDeniedError,
    StorageUnavailableError,
    TooManyAttemptsError,
)
from app.openapi import BEARER, Answer, body_problems, problems

api = APIBlueprint(
    "accounts",
    __name__,
    url_prefix="/api/v1/auth",
    abp_tags=[Tag(name="accounts", description="Registration, login and tokens")],
)
_GUARDED = problems(AuthenticationError, InvalidTokenError, StorageUnavailableError)
_OPEN_ENDPOINTS = ("accounts.register", "accounts.login", "accounts.refresh")


@api.before_request
def _guard() -> None:
    if request.endpoint not in _OPEN_ENDPOINTS:
        authenticate()


@api.post(
    "/register",
    summary="Create an account",
    responses={201: UserView, **body_problems(EmailTakenError)},
)
def register(body: Registration) -> Answer:
    account = components().accounts.register(body.email, body.password)
    return jsonify(UserView.model_validate(account).model_dump(mode="json")), 201


@api.post(
    "/login",
    summary="Log in with e-mail address and password",
    responses={
        200: Tokens,
        **body_problems(InvalidCredentialsError, AccountDisabledError, TooManyAttemptsError),
    },
)
def login(body: Credentials) -> Answer:
    components().attempts.login(body.email)
    return _tokens(components().accounts.login(body.email, body.password, device()))


@api.post(
    "/refresh",
    summary="Trade a refresh token for the next pair of tokens",
    responses={200: Tokens, **body_problems(InvalidTokenError, TooManyAttemptsError)},
)
def refresh(body: RefreshToken) -> Answer:
    with components().attempts.failures():
        return _tokens(components().accounts.refresh(body.refresh_token, device()))


@api.post(
    "/logout",
    summary="Revoke every token of this login",
    security=BEARER,
    responses={204: None, **_GUARDED, **problems(PermissionDeniedError)},
)
def logout() -> Answer:
    components().accounts.logout(identity())
    return "", 204


@api.get(
    "/me",
    summary="The account that is logged in",
    security=BEARER,
    responses={200: CallerView, **_GUARDED},
)
def me() -> Answer:
    account = CallerView.model_validate(components().accounts.account(identity()))
    account.is_operator = identity().is_operator
    account.may = may_anywhere(identity())
    return jsonify(account.model_dump(mode="json"))


def _tokens(pair: TokenPair) -> Answer:
    response = jsonify(Tokens.model_validate(asdict(pair)).model_dump())
    response.headers["Cache-Control"] = "no-store"
    return response
