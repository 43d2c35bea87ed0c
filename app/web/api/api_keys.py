"""/api/v1/api-keys: HTTP only; the rules are in `app.domain.accounts.keys`."""

from typing import Any

from flask import jsonify
from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import ApiKeyNameTakenError, ApiKeyNotFoundError, LimitReachedError
from app.web.api.answers import shown
from app.web.api.errors import BODY, PARAMETERS, SIGNED_IN
from app.web.api.schemas.auth import ApiKeyList, ApiKeyPath, ApiKeyView, CreatedApiKey, NewApiKey
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, Answer, problems
from app.web.services import components

_CREATE = (*BODY, *SIGNED_IN, ApiKeyNameTakenError, LimitReachedError)

api = APIBlueprint(
    "api_keys",
    __name__,
    url_prefix="/api/v1/api-keys",
    abp_tags=[Tag(name="API keys", description="Credentials for programs")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.post(
    "",
    summary="Make an API key; only this answer shows it",
    responses={201: CreatedApiKey, **problems(*_CREATE)},
)
def create(body: NewApiKey) -> Answer:
    made = components().api_keys.create(identity(), body.name, body.scopes, body.expires_at)
    response = jsonify({**_view(made.key), "key": made.secret})
    response.headers["Cache-Control"] = "no-store"
    response.headers["Location"] = f"{api.url_prefix}/{made.key.id}"
    return response, 201


@api.get(
    "",
    summary="Your API keys, without those that were revoked",
    responses={200: ApiKeyList, **problems(*SIGNED_IN)},
)
def index() -> Answer:
    return jsonify(items=[_view(key) for key in components().api_keys.list(identity())])


@api.delete(
    "/<api_key_id>",
    summary="Revoke an API key",
    responses={204: None, **problems(*PARAMETERS, ApiKeyNotFoundError)},
)
def revoke(path: ApiKeyPath) -> Answer:
    components().api_keys.revoke(identity(), path.api_key_id)
    return "", 204


def _view(key: Any) -> dict[str, Any]:
    return shown(ApiKeyView, key)
