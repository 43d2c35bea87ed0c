"""Fields that bodies, templates and their documentation share, each with its rules."""

import re
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)

from app.core.patterns import IMAGE
from app.core.sentences import described

_VARIABLE = described(
    r"^[A-Za-z_][A-Za-z0-9_]*$",
    "Use letters, digits and underscores in the name of a variable, and no digit in front.",
)
MAX_VARIABLES = 128
NO_NUL = described(r"^[^\x00]*$", "Leave out the NUL character.")
LABEL = described(
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    "Use lower-case letters, digits and hyphens: at most 63, and no hyphen at either end.",
)
"""How environments, projects and teams are called."""
DEFAULT_VOLUME_PATH = "/workspace"
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _a_number(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("Enter a number.")
    return value


def _written_out(value: Any) -> Any:
    if isinstance(value, str | int | float) and not _RFC_3339.fullmatch(str(value)):
        raise ValueError("Enter a date and time with a time zone, such as 2030-01-31T12:00:00Z.")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("Name a moment in the years 1 to 9999, in UTC.") from None


# pydantic alone takes true and "1" for the number 1, and a number for a moment, which the schemas
# that we publish do not.
JsonNumber = BeforeValidator(_a_number)
"""For numbers in JSON bodies; in a query all values are text. Stands behind the bounds, which
would not get into the document otherwise."""
WrittenOut = BeforeValidator(_written_out)
InUtc = AfterValidator(_in_utc)
Moment = Annotated[AwareDatetime, WrittenOut, InUtc]

Name = Annotated[
    str,
    Field(
        pattern=LABEL,
        description="Lower-case letters, digits and hyphens; unique in the project.",
        examples=["billing-api"],
    ),
]
ProjectId = Annotated[str, Field(max_length=64, pattern=NO_NUL)]
Image = Annotated[
    str,
    Field(
        max_length=255,
        pattern=IMAGE,
        description="A Docker image, on the host or in a registry.",
        examples=["python:3.12-slim"],
    ),
]
VariableName = Annotated[str, Field(pattern=_VARIABLE, max_length=128)]
VARIABLE_NAMES: dict[str, Any] = {"propertyNames": {"pattern": _VARIABLE, "maxLength": 128}}
"""For the schema of what has such names: pydantic's own lets any other name pass as well."""
MAX_VARIABLES_BYTES = 64 * 1024
"""Of all names and values together. Lists show them, and Linux starts no program with much more."""


def _not_too_much(variables: dict[str, str]) -> dict[str, str]:
    texts = (text for item in variables.items() for text in item)
    if sum(len(text.encode(errors="replace")) for text in texts) > MAX_VARIABLES_BYTES:
        raise ValueError(f"Enter at most {MAX_VARIABLES_BYTES // 1024} KiB in all.")
    return variables


Variables = Annotated[
    dict[VariableName, Annotated[str, Field(pattern=NO_NUL, max_length=8192)]],
    Field(
        max_length=MAX_VARIABLES,
        description="Environment variables.",
        examples=[{"DEBUG": "1"}],
        json_schema_extra=VARIABLE_NAMES,
    ),
    AfterValidator(_not_too_much),
]
LEAST_CPUS = 0.01
"""What Docker Engine calls the least; what it rounds to nothing would be no limit."""


def _thousandths(cpus: float) -> float:
    """Round to what the kernel can hold apart, so that the record says what holds."""
    return round(cpus, 3)


Cpus = Annotated[
    float,
    Field(ge=LEAST_CPUS, le=256, description="CPUs, to the thousandth of one.", examples=[1.5]),
    JsonNumber,
    AfterValidator(_thousandths),
]
# 6 MiB is the least that Docker Engine accepts; nothing useful starts below 16.
Memory = Annotated[
    int, Field(ge=16, le=4 * 1024 * 1024, description="MiB.", examples=[512]), JsonNumber
]


def _without_nul(value: SecretStr) -> SecretStr:
    if "\x00" in value.get_secret_value():
        raise ValueError("Leave out the NUL character.")
    return value


# A value of this type does not show itself where it is printed.
Secret = Annotated[
    SecretStr,
    Field(max_length=8192, json_schema_extra={"pattern": NO_NUL}),
    AfterValidator(_without_nul),
]


# The rule of `_inside_the_container` for the document; its own message says more to a person.
_IN_A_NAME = r"[^/\x00-\x1f:,]"
_NAME = rf"([^/.\x00-\x1f:,]{_IN_A_NAME}*|\.[^/.\x00-\x1f:,]{_IN_A_NAME}*|\.\.{_IN_A_NAME}+)"
_PATH = rf"^/(\.?/)*{_NAME}(/(\.|{_NAME})?)*$"


def _inside_the_container(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/") or PurePosixPath(path).name == "":
        raise ValueError("Name an absolute path without .., and not the root.")
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


VolumePath = Annotated[
    str,
    Field(
        max_length=255,
        pattern=described(r"^[^\x00-\x1f:,]*$", "Leave out colons, commas and control characters."),
        description="Where the volume is mounted, which outlives the container; null: no volume.",
        examples=[DEFAULT_VOLUME_PATH],
        json_schema_extra={"pattern": _PATH},
    ),
    AfterValidator(_inside_the_container),
]


class Port(BaseModel):
    """A port of the container; without host_port, Docker picks a free one at each start.

    Ports of VibeBox itself and those that its operator keeps back are refused.
    """

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    container_port: Annotated[int, Field(ge=1, le=65535, examples=[8000]), JsonNumber]
    host_port: Annotated[int, Field(ge=1024, le=65535), JsonNumber] | None = Field(
        default=None, examples=[18000]
    )
    protocol: Literal["tcp", "udp"] = "tcp"


def _distinct(ports: list[Port]) -> list[Port]:
    inside = [(port.container_port, port.protocol) for port in ports]
    outside = [(port.host_port, port.protocol) for port in ports if port.host_port]
    if len(set(inside)) < len(inside) or len(set(outside)) < len(outside):
        raise ValueError("Name each container port and each host port once.")
    return ports


Ports = Annotated[list[Port], Field(max_length=32), AfterValidator(_distinct)]
