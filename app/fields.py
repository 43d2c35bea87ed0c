"""Fields that bodies, templates and their documentation share, each with its rules."""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
MAX_VARIABLES = 128
NO_NUL = r"^[^\x00]*$"
DEFAULT_VOLUME_PATH = "/workspace"

Name = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="Lower-case letters, digits and hyphens; unique in the project.",
        examples=["billing-api"],
    ),
]
ProjectId = Annotated[str, Field(max_length=64, pattern=NO_NUL)]
Image = Annotated[
    str,
    Field(
        max_length=255,
        pattern=r"^[a-z0-9][a-zA-Z0-9._/:@-]*$",
        description="A Docker image, on the host or in a registry.",
        examples=["python:3.12-slim"],
    ),
]
VariableName = Annotated[str, Field(pattern=_VARIABLE, max_length=128)]
Variables = Annotated[
    dict[VariableName, Annotated[str, Field(pattern=NO_NUL, max_length=8192)]],
    Field(
        max_length=MAX_VARIABLES, description="Environment variables.", examples=[{"DEBUG": "1"}]
    ),
]
Cpus = Annotated[float, Field(gt=0, le=256, description="CPUs.", examples=[1.5])]
# 6 MiB is the least that Docker Engine accepts; nothing useful starts below 16.
Memory = Annotated[int, Field(ge=16, le=4 * 1024 * 1024, description="MiB.", examples=[512])]


def _without_nul(value: SecretStr) -> SecretStr:
    if "\x00" in value.get_secret_value():
        raise ValueError("must not hold a NUL character")
    return value


# A value of this type does not show itself where it is printed.
Secret = Annotated[SecretStr, Field(max_length=8192), AfterValidator(_without_nul)]


def _inside_the_container(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/") or PurePosixPath(path).name == "":
        raise ValueError("must be an absolute path without .., and not the root")
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


VolumePath = Annotated[
    str,
    Field(
        max_length=255,
        pattern=r"^[^\x00-\x1f:,]*$",
        description="Where the volume is mounted, which outlives the container; null: no volume.",
        examples=[DEFAULT_VOLUME_PATH],
    ),
    AfterValidator(_inside_the_container),
]


class Port(BaseModel):
    """A port of the container; without host_port, Docker picks a free one at each start."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    container_port: int = Field(ge=1, le=65535, examples=[8000])
    host_port: int | None = Field(default=None, ge=1024, le=65535, examples=[18000])
    protocol: Literal["tcp", "udp"] = "tcp"


def _distinct(ports: list[Port]) -> list[Port]:
    inside = [(port.container_port, port.protocol) for port in ports]
    outside = [(port.host_port, port.protocol) for port in ports if port.host_port]
    if len(set(inside)) < len(inside) or len(set(outside)) < len(outside):
        raise ValueError("each container port and each host port may be named once")
    return ports


Ports = Annotated[list[Port], Field(max_length=32), AfterValidator(_distinct)]
