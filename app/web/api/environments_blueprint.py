"""The blueprint of /api/v1/environments, and what its routes have in common."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from app.core.errors import (
    AuthenticationError,
    BodyTooLargeError,
    CommandRunawayError,
    CommandTimeoutError,
    EngineConflictError,
    EngineError,
    EngineFullError,
    EngineTimeoutError,
    EngineUnreachableError,
    EnvironmentConflictError,
    EnvironmentNotFoundError,
    ExecutableMissingError,
    ImageMissingError,
    InvalidInputError,
    InvalidTokenError,
    LimitsRefusedError,
    MalformedBodyError,
    PermissionDeniedError,
    PortReservedError,
    PortTakenError,
    QuotaExceededError,
    SecretsUnavailableError,
    ServerBusyError,
    SpecificationRefusedError,
    StorageUnavailableError,
)
from app.domain.authorization import ON_ENVIRONMENTS, may
from app.web.api.schemas.environment_views import EnvironmentView
from app.web.authentication import authenticate, identity
from app.web.openapi import BEARER, allow_body

MAX_ENVIRONMENT_BYTES = 1024 * 1024
COMMON = (
    AuthenticationError,
    InvalidTokenError,
    PermissionDeniedError,
    StorageUnavailableError,
    InvalidInputError,
)
BODY = (*COMMON, MalformedBodyError, BodyTooLargeError)
ONE = (*COMMON, EnvironmentNotFoundError)
ENGINE = (
    EngineUnreachableError,
    EngineFullError,
    EngineTimeoutError,
    EngineError,
    ServerBusyError,
)
"""What any call of Docker may come to."""
COMMANDS = (*ENGINE, CommandTimeoutError, CommandRunawayError)
"""What a command in a container may come to."""
LAUNCH = (
    *ONE,
    *ENGINE,
    EnvironmentConflictError,
    QuotaExceededError,
    EngineConflictError,
    LimitsRefusedError,
    SpecificationRefusedError,
    PortReservedError,
    PortTakenError,
    ImageMissingError,
    ExecutableMissingError,
    SecretsUnavailableError,
)

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
    shown = EnvironmentView.model_validate(environment)
    shown.may = may(identity(), ON_ENVIRONMENTS, environment.caller_role)
    return shown.model_dump(mode="json")
