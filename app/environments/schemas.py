"""Bodies and queries of the environment routes."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from app.storage import EnvironmentStatus, ExitReason

_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_NO_NUL = r"^[^\x00]*$"

Name = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="Lower-case letters, digits and hyphens; unique in the project.",
        examples=["billing-api"],
    ),
]
ProjectId = Annotated[str, Field(max_length=64, pattern=_NO_NUL)]
Image = Annotated[
    str,
    Field(
        max_length=255,
        pattern=r"^[a-z0-9][a-zA-Z0-9._/:@-]*$",
        description="A Docker image that the host holds.",
        examples=["python:3.12-slim"],
    ),
]
Variables = Annotated[
    dict[
        Annotated[str, Field(pattern=_VARIABLE, max_length=128)],
        Annotated[str, Field(pattern=_NO_NUL, max_length=8192)],
    ],
    Field(max_length=128, description="Environment variables.", examples=[{"DEBUG": "1"}]),
]
Cpus = Annotated[float, Field(gt=0, le=256, description="CPUs.", examples=[1.5])]
# 6 MiB is the least that Docker Engine accepts; nothing useful starts below 16.
Memory = Annotated[int, Field(ge=16, le=4 * 1024 * 1024, description="MiB.", examples=[512])]


class Port(BaseModel):
    """A port of the container; without host_port, Docker picks a free one at each start."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    container_port: int = Field(ge=1, le=65535, examples=[8000])
    host_port: int | None = Field(default=None, ge=1024, le=65535, examples=[18000])
    protocol: Literal["tcp", "udp"] = "tcp"


Ports = Annotated[list[Port], Field(max_length=32)]


def _distinct(ports: list[Port] | None) -> list[Port] | None:
    inside = [(port.container_port, port.protocol) for port in ports or ()]
    outside = [(port.host_port, port.protocol) for port in ports or () if port.host_port]
    if len(set(inside)) < len(inside) or len(set(outside)) < len(outside):
        raise ValueError("each container port and each host port may be named once")
    return ports


class NewEnvironment(BaseModel):
    """What an environment is made of."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    image: Image
    project_id: ProjectId | None = Field(
        default=None, description="Default: your personal project."
    )
    env: Variables = Field(default_factory=dict)
    ports: Ports = Field(default_factory=list)
    cpu_limit: Cpus | None = None
    memory_limit_mb: Memory | None = None

    _ports = field_validator("ports")(_distinct)


class EnvironmentChanges(BaseModel):
    """What to change; a field that is left out stays. All but the name need it stopped."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    image: Image | None = None
    env: Variables | None = None
    ports: Ports | None = None
    cpu_limit: Cpus | None = None
    memory_limit_mb: Memory | None = None

    _ports = field_validator("ports")(_distinct)

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        nulls = [name for name in self.model_fields_set if getattr(self, name) is None]
        if nulls:
            raise ValueError(f"leave a field out to keep it; null is no value: {', '.join(nulls)}")
        return self


class EnvironmentView(BaseModel):
    """An environment, as its owner sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["0f8c2a52-7a4e-4a55-9d0e-3a6f0f6f2f10"])
    name: Name
    project_id: str = Field(examples=["b0f3f5c4-6f0e-4a25-9a55-0d5a2e6c8f21"])
    image: str = Field(examples=["python:3.12-slim"])
    status: EnvironmentStatus
    error: str | None = Field(description="Why the status is error.", examples=[None])
    env: dict[str, str]
    ports: list[Port] = Field(description="The ports asked for.")
    published_ports: list[Port] = Field(description="Where they were published at the last start.")
    cpu_limit: float
    memory_limit_mb: int
    exit_reason: ExitReason | None = Field(description="Why the container last ended.")
    exit_code: int | None = Field(description="Its exit code, where somebody saw it.")
    exited_at: datetime | None
    created_at: datetime
    updated_at: datetime


class EnvironmentPage(BaseModel):
    """A page of environments, newest first; `total` counts all that match."""

    items: list[EnvironmentView]
    total: int
    limit: int
    offset: int


class EnvironmentPath(BaseModel):
    """Which environment."""

    environment_id: str = Field(max_length=64, pattern=_NO_NUL)


class EnvironmentQuery(BaseModel):
    """Which page of which environments."""

    project_id: ProjectId | None = None
    status: EnvironmentStatus | None = None
    limit: int = Field(default=20, ge=1, le=100)
    offset: int = Field(default=0, ge=0, le=2**31)
