"""/api/v1/auth: registration, logins, tokens, and one's own account."""

from functools import partial

from flask import jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import (
    AccountDisabledError,
    EmailTakenError,
    InvalidCredentialsError,
    InvalidTokenError,
    InvitationInvalidError,
    LimitReachedError,
    LoginNotFoundError,
    RegistrationClosedError,
    ServerBusyError,
    StorageUnavailableError,
    TooManyAttemptsError,
)
from app.domain.accounts.service import TokenPair
from app.domain.authorization import may_anywhere
from app.web import synthetic
from app.web.api.answers import paged, shown
from app.web.api.errors import BODY, PARAMETERS, SIGNED_IN, TOKEN
from app.web.api.schemas.auth import (
    CallerView,
    Credentials,
    LoginPage,
    LoginPath,
    LoginView,
    PasswordChange,
    RefreshToken,
    Registration,
    RegistrationView,
    Tokens,
    UserView,
)
from app.web.api.schemas.pages import PageQuery
from app.web.authentication import authenticate, device, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

api = APIBlueprint(
    "accounts",
    __name__,
    url_prefix="/api/v1/auth",
    abp_tags=[Tag(name="accounts", description="Registration, login and tokens")],
)
_REGISTER = (
    *BODY,
    EmailTakenError,
    RegistrationClosedError,
    InvitationInvalidError,
    LimitReachedError,
    ServerBusyError,
    TooManyAttemptsError,
)
_LOGIN = (
    *BODY,
    InvalidCredentialsError,
    AccountDisabledError,
    ServerBusyError,
    TooManyAttemptsError,
)
_CHANGE_PASSWORD = (*BODY, *SIGNED_IN, ServerBusyError, TooManyAttemptsError)
_OPEN_ENDPOINTS = (
    "accounts.registration",
    "accounts.register",
    "accounts.login",
    "accounts.refresh",
)


@api.before_request
def _guard() -> None:
    if request.endpoint not in _OPEN_ENDPOINTS:
        authenticate()


@api.get(
    "/registration",
    summary="Who may create an account here",
    responses={200: RegistrationView},
)
def registration() -> Answer:
    return jsonify(mode=components().registration.mode)


@api.post(
    "/register",
    summary="Create an account",
    responses={201: UserView, **problems(*_REGISTER)},
)
def register(body: Registration) -> Answer:
    if body.invitation is None:
        components().registration.refuse_closed()
        components().attempts.registration()
    account = components().registration.register(body.email, body.password, body.invitation)
    return jsonify(shown(UserView, account)), 201


@api.post(
    "/login",
    summary="Log in with e-mail address and password",
    responses={200: Tokens, **problems(*_LOGIN)},
)
def login(body: Credentials) -> Answer:
    components().attempts.login(body.email)
    pair = components().accounts.login(body.email, body.password, device())
    if pair.is_synthetic:
        synthetic.note()
    return _tokens(pair)


@api.post(
    "/refresh",
    summary="Trade a refresh token for the next pair of tokens",
    responses={200: Tokens, **problems(*BODY, InvalidTokenError, TooManyAttemptsError)},
)
def refresh(body: RefreshToken) -> Answer:
    with components().attempts.failures():
        return _tokens(components().accounts.refresh(body.refresh_token, device()))


@api.post(
    "/logout",
    summary="Revoke every token of this login",
    security=BEARER,
    responses={204: None, **problems(*SIGNED_IN)},
)
def logout() -> Answer:
    components().accounts.logout(identity())
    return "", 204


@api.get(
    "/me",
    summary="The account that is logged in",
    security=BEARER,
    responses={200: CallerView, **problems(*TOKEN, StorageUnavailableError)},
)
def me() -> Answer:
    caller = identity()
    account = components().accounts.account(caller)
    computed = {"is_operator": caller.is_operator, "may": may_anywhere(caller)}
    return jsonify(shown(CallerView, account, **computed))


@api.post(
    "/password",
    summary="Change your password; this ends your other logins",
    security=BEARER,
    responses={204: None, **problems(*_CHANGE_PASSWORD)},
)
def change_password(body: PasswordChange) -> Answer:
    # Whoever has got hold of a token may not try passwords for longer than who has none.
    components().attempts.login(identity().email)
    components().own.change_password(identity(), body.old_password, body.new_password)
    return "", 204


@api.get(
    "/logins",
    summary="Your logins, last used first",
    security=BEARER,
    responses={200: LoginPage, **problems(*PARAMETERS)},
)
def logins(query: PageQuery) -> Answer:
    page = components().own.list_logins(identity(), limit=query.limit, offset=query.offset)
    return paged(page, partial(shown, LoginView), query)


@api.delete(
    "/logins",
    summary="End your other logins, and what they opened",
    security=BEARER,
    responses={204: None, **problems(*SIGNED_IN)},
)
def end_other_logins() -> Answer:
    components().own.end_other_logins(identity())
    return "", 204


@api.delete(
    "/logins/<login_id>",
    summary="End one of your logins, and what it opened",
    security=BEARER,
    responses={204: None, **problems(*PARAMETERS, LoginNotFoundError)},
)
def end_login(path: LoginPath) -> Answer:
    components().own.end_login(identity(), path.login_id)
    return "", 204


def _tokens(pair: TokenPair) -> Answer:
    response = jsonify(shown(Tokens, pair))
    response.headers["Cache-Control"] = "no-store"
    return response
