"""Extensions over HTTP; the rules are in `app.domain.extensions.service`."""

from typing import Any

from flask import Request, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import (
    BodyTooLargeError,
    EnvironmentNotFoundError,
    ExtensionConflictError,
    ExtensionNotFoundError,
    LimitReachedError,
)
from app.domain.authorization import Access, Action
from app.web.api.answers import paged, shown
from app.web.api.errors import BODY, ENVIRONMENT, PARAMETERS
from app.web.api.lasting import takes_long
from app.web.api.schemas.environments import EnvironmentPath
from app.web.api.schemas.extensions import (
    ExtensionPageView,
    ExtensionPath,
    ExtensionQuery,
    ExtensionView,
    NewExtension,
    Package,
)
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, SLOW_BODY, Answer, problems
from app.web.services import components
from prefork_metrics.exchange import exchange_of

api = APIBlueprint(
    "extensions",
    __name__,
    url_prefix="/api/v1/environments",
    abp_tags=[Tag(name="extensions", description="Extensions of VS Code in environments")],
    abp_security=BEARER,
)
api.before_request(authenticate)
_INSTALL = (
    *PARAMETERS,
    *BODY,
    EnvironmentNotFoundError,
    ExtensionConflictError,
    LimitReachedError,
)
_ONE = (*ENVIRONMENT, ExtensionNotFoundError)


@api.post(
    "/<environment_id>/extensions",
    summary="Install an extension of the gallery",
    responses={202: ExtensionView, **problems(*_INSTALL)},
)
def install(path: EnvironmentPath, body: NewExtension) -> Answer:
    return _accepted(components().extensions.install(identity(), path.environment_id, body.id))


@api.post(
    "/<environment_id>/extensions/upload",
    summary="Install the extension in a .vsix",
    # Larger bodies than others: they are read while the request is served.
    responses={202: ExtensionView, **problems(*_INSTALL, *SLOW_BODY)},
)
@takes_long
def upload(path: EnvironmentPath, raw: Package) -> Answer:
    extensions = components().extensions
    extensions.may_change(identity(), path.environment_id)
    access = Access(identity(), Action.EXTENSION_CHANGE, path.environment_id)
    # What has come already is small, and takes no place of those that are waited for.
    admission, awaits = components().admission, exchange_of(request.environ).awaits_body
    with admission.upload(access) if awaits else admission.watch(access) as held:
        if awaits:
            exchange_of(request.environ).check_while_reading(held.came)
        content = _content(raw, extensions.largest)
        held.arrived()  # it took as long as the client liked
        return _accepted(extensions.upload(identity(), path.environment_id, content))


@api.get(
    "/<environment_id>/extensions",
    summary="The extensions of an environment",
    responses={200: ExtensionPageView, **problems(*ENVIRONMENT)},
)
def index(path: EnvironmentPath, query: ExtensionQuery) -> Answer:
    page = components().extensions.list(
        identity(), path.environment_id, query.state, limit=query.limit, offset=query.offset
    )
    return paged(page, _view, query)


@api.get(
    "/<environment_id>/extensions/<extension_id>",
    summary="One extension",
    responses={200: ExtensionView, **problems(*_ONE)},
)
def show(path: ExtensionPath) -> Answer:
    found = components().extensions.get(identity(), path.environment_id, path.extension_id)
    return jsonify(_view(found))


@api.delete(
    "/<environment_id>/extensions/<extension_id>",
    summary="Remove an extension",
    responses={202: ExtensionView, **problems(*_ONE)},
)
def remove(path: ExtensionPath) -> Answer:
    found = components().extensions.delete(identity(), path.environment_id, path.extension_id)
    return jsonify(_view(found)), 202


def _content(request: Request, largest: int) -> bytes:
    """Return the body. Raises: BodyTooLargeError, also where its length is not told."""
    if (request.content_length or 0) > largest:
        raise BodyTooLargeError(f"Send at most {largest // 2**20} MiB.")
    request.max_content_length = largest
    return request.get_data(cache=False)


def _accepted(found: Any) -> Answer:
    response = jsonify(_view(found))
    response.headers["Location"] = f"{api.url_prefix}/{found.environment_id}/extensions/{found.id}"
    return response, 202


def _view(found: Any) -> dict[str, Any]:
    return shown(ExtensionView, found)
