"""Bodies and queries of the environment routes."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.domain.fields import (
    DEFAULT_VOLUME_PATH,
    MAX_VARIABLES,
    NO_NUL,
    VARIABLE_NAMES,
    Cpus,
    Image,
    Memory,
    Moment,
    Name,
    Ports,
    ProjectId,
    Secret,
    VariableName,
    Variables,
    VolumePath,
)
from app.storage import EnvironmentStatus, PullPolicy
from app.web.api.schemas.pages import PageQuery

Expiry = Annotated[
    Moment,
    Field(
        description="When it is deleted, with its volume; with a time zone, at most a year ahead.",
        examples=["2026-12-31T18:00:00Z"],
    ),
]
Pull = Annotated[
    PullPolicy,
    Field(
        description="When a start pulls the image. `always` also makes a new container where "
        "another image came; the volume stays.",
        examples=["missing"],
    ),
]
# To a change, null is no value of the others.
_MAY_BE_NULL = {"volume_path", "expires_at"}
_IMAGE_OR_TEMPLATE: list[Any] = [
    {"required": [name], "properties": {name: {"type": "string"}}} for name in ("image", "template")
]


def _of_changes(schema: dict[str, Any]) -> None:
    """Say of fields to change what is true: left out they have no value, and few may be null."""
    for name, field in schema["properties"].items():
        field.pop("default", None)
        if name not in _MAY_BE_NULL:
            (only,) = [one for one in field.pop("anyOf") if one != {"type": "null"}]
            field.update({**only, **field})


_SECRETS = "Secret environment variables: kept encrypted, never shown."


class _Fields(BaseModel):
    """A body of which only the fields that the caller named count."""

    model_config = ConfigDict(extra="forbid")

    def named(self) -> dict[str, Any]:
        """Return the fields that the caller named, whole."""
        return {
            name: value
            for name, value in self.model_dump().items()
            if name in self.model_fields_set
        }


class NewEnvironment(_Fields):
    """What an environment is made of; a template fills what is left out."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"anyOf": _IMAGE_OR_TEMPLATE})

    name: Name
    template: str | None = Field(
        default=None, max_length=63, pattern=NO_NUL, description="Its name.", examples=["python"]
    )
    image: Image | None = Field(default=None, description="Needed without a template.")
    project_id: ProjectId | None = Field(
        default=None, description="Default: your personal project."
    )
    pull: Pull = PullPolicy.MISSING
    env: Variables = Field(default_factory=dict)
    secrets: dict[VariableName, Secret] = Field(
        default_factory=dict,
        max_length=MAX_VARIABLES,
        description=_SECRETS,
        json_schema_extra=VARIABLE_NAMES,
    )
    ports: Ports = Field(default_factory=list)
    volume_path: VolumePath | None = DEFAULT_VOLUME_PATH
    cpu_limit: Cpus | None = None
    memory_limit_mb: Memory | None = None
    expires_at: Expiry | None = None


class EnvironmentChanges(_Fields):
    """What to change; a field that is left out stays.

    Limits change at once, also of a running environment; name, pull and expires_at need nothing;
    the others need it stopped and go into a new container. The volume stays.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra=_of_changes)

    name: Name | None = None
    image: Image | None = None
    pull: Pull | None = None
    env: Variables | None = None
    secrets: dict[VariableName, Secret | None] | None = Field(
        default=None,
        max_length=MAX_VARIABLES,
        description=f"{_SECRETS} Null removes one.",
        json_schema_extra=VARIABLE_NAMES,
    )
    ports: Ports | None = None
    volume_path: VolumePath | None = None
    cpu_limit: Cpus | None = None
    memory_limit_mb: Memory | None = None
    expires_at: Expiry | None = None

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        given = self.model_fields_set - _MAY_BE_NULL
        nulls = [name for name in sorted(given) if getattr(self, name) is None]
        if nulls:
            raise ValueError(f"Leave a field out to keep it; null is no value: {', '.join(nulls)}.")
        return self


class StartOptions(BaseModel):
    """How to start this time; the body may be left out."""

    # flask-openapi3 reads `openapi_extra`, which pydantic's type does not know.
    model_config = ConfigDict(
        extra="forbid",
        openapi_extra={"required": False},  # type: ignore[typeddict-unknown-key]
    )

    pull: Pull | None = Field(default=None, description="Instead of the environment's own.")

    @model_validator(mode="before")
    @classmethod
    def _may_be_absent(cls, value: Any) -> Any:
        return {} if value is None else value


class StartQuery(BaseModel):
    """How long to wait."""

    wait: float = Field(
        default=0, ge=0, le=60, description="Seconds to wait for the end of a start that pulls."
    )


class EventsQuery(BaseModel):
    """How long to listen."""

    follow: bool = Field(default=False, description="Go on after the start, for up to ten minutes.")


class EnvironmentPath(BaseModel):
    """Which environment."""

    environment_id: str = Field(max_length=64, pattern=NO_NUL)


class EnvironmentQuery(PageQuery):
    """Which page of which environments."""

    project_id: ProjectId | None = None
    status: EnvironmentStatus | None = None
