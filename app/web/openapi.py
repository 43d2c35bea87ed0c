"""The OpenAPI document: what flask-openapi3 collects from the routes, in our error shape."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit, urlunsplit

from flask import Request, request
from flask import Response as FlaskResponse
from flask.json.provider import DefaultJSONProvider
from flask_openapi3 import Info, OpenAPI
from flask_openapi3.models.operation import Operation
from flask_openapi3.models.response import Response
from flask_openapi3.models.schema import Schema
from flask_openapi3.types import ResponseDict
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.routing import MapAdapter, RequestRedirect, Rule

from app._version import __version__
from app.core.errors import (
    IncompleteBodyError,
    InvalidInputError,
    RequestTimeoutError,
    StorageUnavailableError,
    TooManyAttemptsError,
    UriTooLongError,
    VibeBoxError,
)
from app.web.problems import CONTENT_TYPE, Problem, validation_problem

# What a route returns. flask-openapi3 resolves annotations at run time, which flask.typing's
# own alias does not allow.
Answer = FlaskResponse | tuple[FlaskResponse, int] | tuple[str, int]

# flask-openapi3 knows OpenAPI 3.0's `example` only, and would drop the examples of our schemas.
Schema.model_config["extra"] = "allow"
Schema.model_rebuild(force=True)

# Whole bodies are held in memory, also those of callers who are not logged in. Routes that have a
# use for more say so (`allow_body`).
MAX_BODY_BYTES = 64 * 1024
# Members of all objects and lists of a body, at any depth: work is done for each of them, and an
# environment of 128 variables, 128 secrets and 32 ports has 400.
MAX_MEMBERS = 2000

# The server refuses a longer request line before there is a route: none answers so.
_UNSEEN = "414"
SLOW_BODY = (IncompleteBodyError, RequestTimeoutError)
"""What comes of a body that is read while its request is served; others are awaited before."""
BEARER: list[dict[str, list[Any]]] = [{"bearer": []}]
_DESCRIPTION = """Development environments in Docker containers.

Bodies are JSON. Every error is a problem (RFC 9457) whose `type` is stable; each answer has its id
in `X-Request-ID`, and the log of the service has it too. Lists come in pages, newest first: by
`limit` and `offset`, and logs and the audit log by the `cursor` of the page before."""
_BEARER = "An access token of POST /api/v1/auth/login, or an API key."
_ALERTMANAGER = "The value of VIBEBOX_ALERTS_TOKEN."
_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_VALIDATION_STATUS = "422"


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "required": True, "schema": {"type": kind}}


_RETRY = {"Retry-After": _header("Seconds until it is worth to ask again.", "integer")}
# Of the answers that `app.web.problems` makes.
_HEADERS = {
    "401": {"WWW-Authenticate": _header("What to send instead: a bearer token.")},
    "426": {"Upgrade": _header("What to ask for instead: a WebSocket.")},
    "429": _RETRY,
    "503": _RETRY,
}
_LOCATION = {
    "Location": {
        "description": "Where to look at what was made or is being done, if it has an address.",
        "schema": {"type": "string", "format": "uri-reference"},
    }
}


def new_app(import_name: str) -> OpenAPI:
    """Return a Flask application that collects its OpenAPI document, shown at /openapi."""
    app = _App(
        import_name,
        static_folder=None,
        info=Info(
            title="VibeBox",
            version=__version__,
            description=_DESCRIPTION,
        ),
        security_schemes={
            "bearer": {"type": "http", "scheme": "bearer", "description": _BEARER},
            "alertmanager": {"type": "http", "scheme": "bearer", "description": _ALERTMANAGER},
        },
        validation_error_status=_VALIDATION_STATUS,
        validation_error_model=Problem,
        validation_error_callback=validation_problem,
    )
    app.request_class = _Request
    app.json = _Json(app)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    return app


class _Parameters(ImmutableMultiDict[str, Any]):
    """Parameters of which each is given once: which of two would count is anybody's guess."""

    def get(  # type: ignore[override]  # of six overloads, as one
        self, key: str, default: Any = None, type: Any = None
    ) -> Any:
        """Return the value. Raises: InvalidInputError where there are several."""
        if len(self.getlist(key)) > 1:
            raise InvalidInputError([{"field": key, "message": "Give this once."}])
        return super().get(key, default, type)


class _Request(Request):
    parameter_storage_class = _Parameters
    max_members = MAX_MEMBERS

    def get_json(self, *arguments: Any, **named: Any) -> Any:
        """Return the body's JSON. Raises: InvalidInputError for more members than any has."""
        found = super().get_json(*arguments, **named)
        # Each takes two bytes and more: smaller bodies cannot hold so many.
        may_hold = self.content_length is None or self.content_length > 2 * self.max_members
        if may_hold and _is_crowded(found, self.max_members):
            message = f"Has more than {self.max_members} members"
            raise InvalidInputError([{"field": "body", "message": message}])
        return found


def allow_body(most_bytes: int, most_members: int = MAX_MEMBERS) -> None:
    """Let the body of this request be larger than others; call it before the body is read."""
    request.max_content_length = most_bytes
    cast(_Request, request).max_members = most_members


def _is_crowded(body: Any, most: int) -> bool:
    """Tell whether objects and lists have more members than that in all."""
    left, todo = most, [body]
    while todo:
        one = todo.pop()
        if isinstance(one, dict | list):
            left -= len(one)
            if left < 0:
                return True
            todo.extend(one.values() if isinstance(one, dict) else one)
    return False


class _App(OpenAPI):
    """Flask, whose router makes no difference between a plain request and a handshake.

    werkzeug's would refuse one of the two on each route, before we know who asks.
    """

    def generate_spec_json(self) -> None:
        """Make the document; those that take no input have no validation error.

        flask-openapi3 gives every operation one.
        """
        super().generate_spec_json()  # type: ignore[no-untyped-call]
        for path in self.spec_json["paths"].values():
            for operation in path.values():
                documented = operation["responses"].get(_VALIDATION_STATUS, {})
                if "application/json" in documented.get("content", {}):
                    del operation["responses"][_VALIDATION_STATUS]

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        adapter = super().create_url_adapter(request)
        if adapter is not None:
            adapter.websocket = False
        return adapter

    def raise_routing_exception(self, request: Request) -> NoReturn:
        """Raise what the router found; a redirect without scheme and host.

        Behind a proxy that ends TLS ours are not those by which the client came.
        """
        found = request.routing_exception
        if isinstance(found, RequestRedirect):
            parts = urlsplit(found.new_url)
            found.new_url = urlunsplit(("", "", parts.path, parts.query, ""))
        super().raise_routing_exception(request)


class _Json(DefaultJSONProvider):
    """Flask's JSON; members stand in the order of the schemas."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse JSON; what is nested too deeply, or no number, is as malformed as what is cut off.

        Raises: InvalidInputError for a bare text, which is no body of any route; flask-openapi3
        would parse it a second time.
        """
        try:
            found = super().loads(s, parse_constant=_refuse_constant, **kwargs)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        if isinstance(found, str):
            raise InvalidInputError(
                [{"field": "body", "message": "Give an object with named fields."}]
            )
        return found


def _refuse_constant(name: str) -> None:
    """Raise ValueError for NaN and the infinities, which Python takes and JSON has not."""
    raise ValueError(f"{name} is no JSON")


def problems(*errors: type[VibeBoxError]) -> ResponseDict:
    """Return the documented responses for `errors`, one for each status, with an example each."""
    responses: dict[Any, Any] = {}
    for error in _with_kinds(errors):
        response = responses.setdefault(
            str(error.status),
            {
                "description": error.title,
                "content": {CONTENT_TYPE: {"schema": _REFERENCE, "examples": {}}},
            },
        )
        if response["description"] == error.title and str(error.status) in _HEADERS:
            response["headers"] = _HEADERS[str(error.status)]
        if error.title not in response["description"]:
            response["description"] += f"; {error.title}"
        response["content"][CONTENT_TYPE]["examples"][error.slug] = {"value": _example(error)}
    return responses


def _with_kinds(errors: Iterable[type[VibeBoxError]]) -> Iterator[type[VibeBoxError]]:
    """Yield the errors; where the database may not do its work, all the kinds of that."""
    for error in errors:
        yield error
        if error is StorageUnavailableError:
            yield from StorageUnavailableError.__subclasses__()


def finish(app: OpenAPI) -> None:
    """Complete what is documented once all blueprints are registered.

    What needs a token is refused alike everywhere after too many bad ones. The document itself is
    made when somebody asks for it: a worker starts without.
    """
    limited, too_long = _models(problems(TooManyAttemptsError)), _models(problems(UriTooLongError))
    location = Response.model_validate({"description": "", "headers": _LOCATION}).headers
    for _, rule, operation in _operations(app):
        # A name for generated clients; the default holds the whole path.
        operation.operationId = rule.endpoint.replace(".", "_")
        responses = operation.responses or {}
        for status in {"201", "202"} & set(responses):
            responses[status] = responses[status].model_copy(update={"headers": location})
        if operation.security:
            responses |= limited
        if operation.parameters:
            responses |= too_long
        operation.responses = responses


def _models(responses: ResponseDict) -> dict[str, Response]:
    return {str(status): Response.model_validate(one) for status, one in responses.items()}


def documented_statuses(app: OpenAPI) -> Mapping[tuple[str, str], list[int]]:
    """Return the statuses that each (method, URL rule) documents; a HEAD is not documented."""
    statuses = {}
    for method, rule, operation in _operations(app):
        told = [int(status) for status in operation.responses or () if status != _UNSEEN]
        # What nobody foresaw is a 500, on any route.
        statuses[method, rule.rule] = [*told, 500]
    return statuses


def _operations(app: OpenAPI) -> Iterator[tuple[str, Rule, Operation]]:
    """Yield method, rule and description of what is documented."""
    for rule in app.url_map.iter_rules():
        path = app.paths.get(rule.rule.replace("<", "{").replace(">", "}"))
        for method in rule.methods or ():
            operation = getattr(path, method.lower(), None)
            if operation is not None:
                yield method, rule, operation


def _example(error: type[VibeBoxError]) -> dict[str, Any]:
    detail = error.default_detail
    return {
        "type": f"urn:vibebox:problem:{error.slug}",
        "title": error.title,
        "status": error.status,
        "detail": detail if detail != VibeBoxError.default_detail else error.title,
        "request_id": "5f6c1e0a9b7d4c5e8f1a2b3c4d5e6f70",
    }
