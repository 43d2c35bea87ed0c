"""Silences of alerts, as they are asked for and shown."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.domain.alerts.service import MAX_NAME
from app.domain.alerts.silences import LONGEST
from app.domain.fields import NO_NUL, JsonNumber

_DAY = 86400


class NewSilence(BaseModel):
    """Which alert is to be told to nobody, for how long and why."""

    model_config = ConfigDict(extra="forbid")

    alert_id: str = Field(
        min_length=1,
        max_length=MAX_NAME,
        pattern=NO_NUL,
        description="The fingerprint of an alert that fires, or that Alertmanager told within a "
        "day: silences those with all of its labels. Or a name: all of this name that are "
        "about this service; where Prometheus is set, also of one that does not fire, as for "
        "planned maintenance.",
        examples=["HighAPILatency"],
    )
    seconds: Annotated[
        int,
        Field(ge=60, le=int(LONGEST.total_seconds()), description="From now on.", examples=[7200]),
        JsonNumber,
    ]
    comment: str = Field(
        min_length=1,
        max_length=500,
        pattern=NO_NUL,
        description="Why, for who is on duty next.",
        examples=["The disk is being replaced"],
    )

    @property
    def duration(self) -> timedelta:
        """Return for how long."""
        return timedelta(seconds=self.seconds)


class MatcherView(BaseModel):
    """A condition on a label: it is (or, not `is_equal`, is not) this value, or matches it."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(examples=["alertname"])
    value: str = Field(examples=["HighAPILatency"])
    is_regex: bool
    is_equal: bool


class SilenceView(BaseModel):
    """A silence of Alertmanager, whoever made it."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    state: Literal["pending", "active", "expired"]
    matchers: list[MatcherView]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str


class SilenceList(BaseModel):
    """The silences that are not over."""

    items: list[SilenceView]


class SilencePath(BaseModel):
    """Which silence."""

    silence_id: str = Field(max_length=64, pattern=NO_NUL)
