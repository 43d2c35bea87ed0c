"""The blueprint of /api/v1/environments, and what its routes have in common."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from app.domain.authorization import ON_ENVIRONMENTS, may
from app.web.api.answers import shown
from app.web.api.schemas.environment_views import EnvironmentView
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, allow_body

MAX_ENVIRONMENT_BYTES = 1024 * 1024

api = APIBlueprint(
    "environments",
    __name__,
    url_prefix="/api/v1/environments",
    abp_tags=[Tag(name="environments", description="Environments and their containers")],
    abp_security=BEARER,
)
api.before_request(authenticate)


@api.before_request
def _allow_large_bodies() -> None:
    # Whatever is written as escapes takes six bytes a character.
    allow_body(MAX_ENVIRONMENT_BYTES)


def view(environment: Any) -> dict[str, Any]:
    """Return the environment as it is shown to whoever asks."""
    permitted = may(identity(), ON_ENVIRONMENTS, environment.caller_role)
    return shown(EnvironmentView, environment, may=permitted)
