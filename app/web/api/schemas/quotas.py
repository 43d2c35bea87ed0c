"""Bodies and queries of the quota routes."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.domain.fields import NO_NUL, JsonNumber

Id = Annotated[str, Field(max_length=64, pattern=NO_NUL)]


class Amounts(BaseModel):
    """Environments at all; CPUs and memory of those that are up."""

    model_config = ConfigDict(from_attributes=True)

    environments: int = Field(examples=[20])
    cpus: float = Field(examples=[16])
    memory_mb: int = Field(examples=[32768])


class HostView(BaseModel):
    """What all on this host may have together, and have."""

    model_config = ConfigDict(from_attributes=True)

    limits: Amounts
    used: Amounts


class MonthAmounts(BaseModel):
    """In a month; null without a bound."""

    model_config = ConfigDict(from_attributes=True)

    cpu_hours: float | None = Field(examples=[200])
    memory_gib_hours: float | None = Field(examples=[None])


class MonthView(BaseModel):
    """What may be used in a month (UTC), and what has been in this one."""

    model_config = ConfigDict(from_attributes=True)

    limits: MonthAmounts
    used: MonthAmounts


class TeamsView(BaseModel):
    """How many teams an account may make, and has made."""

    model_config = ConfigDict(from_attributes=True)

    limit: int = Field(examples=[5])
    used: int = Field(examples=[1])


class QuotaView(BaseModel):
    """What an account or a team may have, and has."""

    model_config = ConfigDict(from_attributes=True)

    limits: Amounts
    used: Amounts
    in_teams: Amounts | None = Field(
        description="Of an account: how much of `used` is in teams that count against it."
    )
    teams: TeamsView | None = Field(description="Of an account.")
    host: HostView
    month: MonthView


class NewQuota(BaseModel):
    """The limits of an account or a team; null stands for the default of the service."""

    model_config = ConfigDict(extra="forbid")

    environments: Annotated[int, Field(ge=0, le=1_000_000), JsonNumber] | None = Field(
        examples=[40]
    )
    cpus: Annotated[float, Field(ge=0.01, le=1_000_000), JsonNumber] | None = Field(examples=[32])
    memory_mb: Annotated[int, Field(ge=16, le=2**31 - 1), JsonNumber] | None = Field(
        examples=[None]
    )
    # Of a month. Not asked of a client that knows only what there was before.
    cpu_hours: Annotated[float, Field(gt=0, le=1e9), JsonNumber] | None = Field(
        default=None, examples=[200]
    )
    memory_gib_hours: Annotated[float, Field(gt=0, le=1e9), JsonNumber] | None = Field(
        default=None, examples=[None]
    )


class QuotaQuery(BaseModel):
    """Whose quota: a team's, or one's own."""

    team_id: Id | None = None


class UserPath(BaseModel):
    """Which account."""

    user_id: Id


class TeamPath(BaseModel):
    """Which team."""

    team_id: Id
