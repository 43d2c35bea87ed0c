"""/console: signing in and out from a browser, and what the health strip shows.

A login of the console is renewed by two halves together, and by neither alone. One is a cookie that
no script can read and that is sent to these routes only, never to the API, which takes bearer
tokens alone. But cookies know no ports: a browser sends it to whatever listens on another port of
this host too, an environment for instance. So the other half is a secret that the page keeps in its
own storage, which belongs to one origin, port and all, and sends in the body. The access token
lives in the memory of the page. Requests that the cookie serves, or that set it, must name our own
origin, which pages of others cannot (OWASP, "Verifying origin with standard headers"); the cookie's
SameSite=Strict is the third lock.
"""

from typing import Any, TypeVar

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ValidationError

from app.core.errors import AuthenticationError, InvalidTokenError, OriginRefusedError
from app.domain.accounts.service import TokenPair
from app.web.api.schemas.auth import Credentials, PageSecret
from app.web.authentication import authenticate, device, identity
from app.web.console.headers import harden
from app.web.openapi import Answer
from app.web.problems import answer, refuse_malformed_body, validation_problem
from app.web.services import components
from app.web.websockets.guard import is_allowed_origin

COOKIE = "vibebox_console"
_PATH = "/console"
# Whatever listens on another port of this host may set cookies of this name, under paths of its
# own too, which a browser sends first. The page's secret tells which one is ours. A try is a
# digest: as many are tried as one header of gunicorn's (8190 bytes) can hold.
_COOKIES = 512
Body = TypeVar("Body", bound=BaseModel)

api = Blueprint("console_access", __name__, url_prefix=_PATH)
api.after_request(harden)


@api.before_request
def _refuse_other_pages() -> None:
    if request.method == "POST" and not is_allowed_origin(request.headers.get("Origin", "")):
        raise OriginRefusedError


@api.post("/sign-in")
def sign_in() -> Answer:
    credentials = _body(Credentials)
    components().attempts.login(credentials.email)
    return _signed_in(
        components().accounts.login(credentials.email, credentials.password, device(), console=True)
    )


@api.post("/token")
def token() -> Answer:
    held = request.cookies.getlist(COOKIE)[:_COOKIES]
    # A page of a release before says nothing of a secret; a reload gives it ours.
    if not held or not request.content_length:
        raise AuthenticationError("Sign in first, or reload the page if it was open for long.")
    secret = _body(PageSecret).page_secret
    try:
        with components().attempts.failures():
            return _signed_in(components().accounts.refresh_console(held, secret, device()))
    except InvalidTokenError as error:
        # Deleted would be ours, whichever of several was wrong; what others set would stay.
        return answer(error) if len(held) > 1 else _forget(answer(error))


@api.post("/sign-out")
def sign_out() -> Answer:
    authenticate()
    components().accounts.logout(identity())
    return _forget(Response(status=204))


@api.get("/telemetry")
def telemetry() -> Answer:
    authenticate()
    readings = components().monitoring.begin()
    alerting = components().alerting.read(identity())
    return jsonify({**readings(), **alerting})


def _body(model: type[Body]) -> Body:
    refuse_malformed_body()
    try:
        return model.model_validate(request.get_json(silent=True))
    except ValidationError as error:
        validation_problem(error)
        raise


def _signed_in(pair: TokenPair) -> Response:
    told = {} if pair.page_secret is None else {"page_secret": pair.page_secret}
    response = jsonify(access_token=pair.access_token, expires_in=pair.expires_in, **told)
    life = components().settings.refresh_token_ttl
    response.set_cookie(COOKIE, pair.refresh_token, max_age=life, **_attributes())
    return response


def _forget(response: Response) -> Response:
    response.delete_cookie(COOKIE, **_attributes())
    return response


def _attributes() -> dict[str, Any]:
    # Behind a proxy that ends TLS our own end of the connection is plain HTTP; the browser's
    # Origin, which is our own by now, says how the page was loaded.
    secure = request.headers.get("Origin", "").lower().startswith("https://")
    return {"path": _PATH, "httponly": True, "samesite": "Strict", "secure": secure}
