"""Bodies and queries of the environment routes."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    computed_field,
    model_validator,
)

from app.fields import (
    DEFAULT_VOLUME_PATH,
    MAX_VARIABLES,
    NO_NUL,
    Cpus,
    Image,
    Memory,
    Name,
    Port,
    Ports,
    ProjectId,
    Secret,
    VariableName,
    Variables,
    VolumePath,
)
from app.storage import EnvironmentStatus, ExitReason, PullPolicy, utc_now

LONGEST_LIFE = timedelta(days=365)


def _in_the_next_year(moment: datetime) -> datetime:
    if not utc_now() < moment <= utc_now() + LONGEST_LIFE:
        raise ValueError("must be in the future, at most a year from now")
    return moment


Expiry = Annotated[
    AwareDatetime,
    Field(
        description="When it is deleted, with its volume; with a time zone, at most a year ahead.",
        examples=["2026-12-31T18:00:00Z"],
    ),
    AfterValidator(_in_the_next_year),
]
Pull = Annotated[
    PullPolicy,
    Field(
        description="When a start pulls the image. `always` also makes a new container where "
        "another image came; the volume stays.",
        examples=["missing"],
    ),
]
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
        default_factory=dict, max_length=MAX_VARIABLES, description=_SECRETS
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

    name: Name | None = None
    image: Image | None = None
    pull: Pull | None = None
    env: Variables | None = None
    secrets: dict[VariableName, Secret | None] | None = Field(
        default=None, max_length=MAX_VARIABLES, description=f"{_SECRETS} Null removes one."
    )
    ports: Ports | None = None
    volume_path: VolumePath | None = None
    cpu_limit: Cpus | None = None
    memory_limit_mb: Memory | None = None
    expires_at: Expiry | None = None

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        may_be_null = {"volume_path", "expires_at"}
        given = self.model_fields_set - may_be_null
        nulls = [name for name in sorted(given) if getattr(self, name) is None]
        if nulls:
            raise ValueError(f"leave a field out to keep it; null is no value: {', '.join(nulls)}")
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


class PullProgressView(BaseModel):
    """How far the pull is that the start waits for."""

    model_config = ConfigDict(from_attributes=True)

    percent: float = Field(examples=[42.5])
    bytes_done: int
    bytes_total: int = Field(description="Of the layers whose size is known so far.")


class EnvironmentView(BaseModel):
    """An environment, as whoever may see it does."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["0f8c2a52-7a4e-4a55-9d0e-3a6f0f6f2f10"])
    name: Name
    project_id: str = Field(examples=["b0f3f5c4-6f0e-4a25-9a55-0d5a2e6c8f21"])
    image: str = Field(examples=["python:3.12-slim"])
    pull: PullPolicy
    status: EnvironmentStatus
    error: str | None = Field(description="Why the status is error.", examples=[None])
    pull_progress: PullProgressView | None = Field(
        default=None, description="While a start waits for its image."
    )
    env: dict[str, str]
    secret_names: list[str] = Field(examples=[["API_TOKEN"]])
    ports: list[Port] = Field(description="The ports asked for.")
    published_ports: list[Port] = Field(description="Where they were published at the last start.")
    volume_path: str | None = Field(examples=[DEFAULT_VOLUME_PATH])
    cpu_limit: float
    memory_limit_mb: int
    expires_at: datetime | None
    exit_reason: ExitReason | None = Field(description="Of the last run that ended.")
    exit_code: int | None
    exited_at: datetime | None
    created_at: datetime
    updated_at: datetime


class StartingView(EnvironmentView):
    """An environment whose start goes on without the caller."""

    events_url: str = Field(description="Where its progress is sent as server-sent events.")


class StatsView(BaseModel):
    """What a running environment uses, over about the last second."""

    model_config = ConfigDict(from_attributes=True)

    cpu_percent: float = Field(description="100 is one core.", examples=[12.5])
    cpu_seconds: float
    memory_bytes: int = Field(description="Without inactive page cache.")
    memory_limit_bytes: int
    network_rx_bytes: int
    network_tx_bytes: int
    block_read_bytes: int
    block_write_bytes: int
    pids: int
    read_at: datetime

    @computed_field(description="Of the limit.", examples=[25.0])
    def memory_percent(self) -> float:
        """How much of the memory limit is used."""
        limit = self.memory_limit_bytes
        return round(100 * self.memory_bytes / limit, 2) if limit else 0.0


class EnvironmentPage(BaseModel):
    """A page of environments, newest first; `total` counts all that match."""

    items: list[EnvironmentView]
    total: int
    limit: int
    offset: int


class EnvironmentPath(BaseModel):
    """Which environment."""

    environment_id: str = Field(max_length=64, pattern=NO_NUL)


class EnvironmentQuery(BaseModel):
    """Which page of which environments."""

    project_id: ProjectId | None = None
    status: EnvironmentStatus | None = None
    limit: int = Field(default=20, ge=1, le=100)
    offset: int = Field(default=0, ge=0, le=2**31)
