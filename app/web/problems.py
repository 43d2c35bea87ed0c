"""Every error response has one shape, `application/problem+json` (RFC 9457), made here.

Members: type, title, status, detail, request_id, and those that an error adds for programs, such as
`errors` for invalid fields. Domain errors state their status themselves (`app.core.errors`); HTTP
errors of Flask get the same shape; whatever nobody foresaw is a 500 whose cause is in the log,
under the same request id, and nowhere else.
"""

import logging
from http import HTTPStatus
from typing import Any, Literal

from flask import Flask, Response, json, request
from pydantic import BaseModel, Field, ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app.core import signals
from app.core.context import context
from app.core.errors import (
    AuthenticationError,
    BodyTooLargeError,
    InvalidInputError,
    LimitError,
    MalformedBodyError,
    StoreUnavailableError,
    VibeBoxError,
)
from app.core.sentences import place, sentence
from app.web import synthetic

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
_log = logging.getLogger(__name__)


class FieldError(BaseModel):
    """One field that breaks a rule."""

    field: str = Field(examples=["name"])
    message: str = Field(examples=["Fill this in."])


class QuotaNumbers(BaseModel):
    """Which quota a request would exceed, and by what."""

    resource: Literal["environments", "cpus", "memory_mb", "cpu_hours", "memory_gib_hours"]
    limit: float = Field(examples=[10])
    used: float = Field(examples=[10])
    requested: float = Field(examples=[1])
    of: Literal["account", "team", "maker", "host"] = Field(
        description="Whose: the account that owns the project, the team, the account that the team "
        "counts against, or all on this host.",
        examples=["account"],
    )
    team: str | None = Field(default=None, description="Of a team, its name.", examples=["red"])


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: str = Field(examples=["urn:vibebox:problem:environment-not-found"])
    title: str = Field(examples=["Environment not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["No environment of yours has this id."])
    request_id: str = Field(examples=["5f6c1e0a9b7d4c5e8f1a2b3c4d5e6f70"])
    errors: list[FieldError] | None = None
    error_count: int | None = Field(
        default=None, description="How many fields are wrong, where not all are listed."
    )
    quota: QuotaNumbers | None = None


def init_app(app: Flask) -> None:
    """Answer every error of `app`, known or not, in the one shape."""
    app.register_error_handler(VibeBoxError, _domain_error)
    app.register_error_handler(HTTPException, _http_error)


def problem(
    status: int, slug: str, title: str, detail: str, extensions: dict[str, Any] | None = None
) -> Response:
    """Return the error response of one shape; `slug` is stable, so clients may switch on it."""
    body: dict[str, Any] = {
        "type": f"urn:vibebox:problem:{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": context.get().request_id,
        **(extensions or {}),
    }
    response = Response(json.dumps(body) + "\n", status, content_type=CONTENT_TYPE)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    elif status == HTTPStatus.UPGRADE_REQUIRED:
        response.headers["Upgrade"] = "websocket"
    return response


def validation_problem(error: ValidationError) -> Response:
    """Translate pydantic's error about the request (flask-openapi3 calls this).

    Raises: MalformedBodyError where the reason is a body that is no JSON at all.
    """
    refuse_malformed_body()
    raise InvalidInputError(
        [
            {"field": place(item), "message": sentence(item)}
            for item in error.errors(include_url=False, include_input=False)
        ]
    )


def refuse_malformed_body() -> None:
    """Raise MalformedBodyError where there is a body, and it is no JSON at all."""
    has_body = bool(request.content_length) or request.headers.get("Transfer-Encoding") is not None
    if has_body and request.get_json(silent=True) is None:
        raise MalformedBodyError


def answer(error: VibeBoxError | HTTPException) -> Response:
    """Return the response to an error."""
    return _domain_error(error) if isinstance(error, VibeBoxError) else _http_error(error)


def _domain_error(error: VibeBoxError) -> Response:
    # What a limit refuses is as often as somebody likes, and counted.
    if isinstance(error, StoreUnavailableError):
        # Said in full by the sentence; no fault of ours whose place anybody needs.
        _log.warning("request failed: %s", error.slug, extra={"why": error.detail})
    elif error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, LimitError):
        _log.error("request failed: %s", error.slug, exc_info=error)
    synthetic.note_failure()
    response = problem(error.status, error.slug, error.title, error.detail, error.extensions)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, AuthenticationError):
        response.headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, LimitError):
        # Here, where every refusal passes: no limit has to think of being counted.
        signals.emit(signals.limit_refused, limit=error.limit)
    return response


def _most_bytes() -> str:
    kib = (request.max_content_length or 0) // 1024
    return f"Send at most {kib} KiB." if kib < 1024 else f"Send at most {kib // 1024} MiB."


def _http_error(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        return _domain_error(BodyTooLargeError(_most_bytes()))
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    # What nobody foresaw arrives here as an InternalServerError; Flask has logged its cause.
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    title = HTTPStatus(status).phrase
    slug = title.lower().replace(" ", "-").replace("'", "")
    synthetic.note_failure()
    response = problem(status, slug, title, error.description or title)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response
