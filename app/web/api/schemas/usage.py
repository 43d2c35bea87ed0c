"""The query and the answer of the route of use."""

from datetime import datetime
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from app.domain.fields import NO_NUL, Moment
from app.domain.usage.service import By, UsageReport, Used
from app.web.api.schemas.pages import PageView

_Id = Annotated[str, Field(max_length=36, pattern=NO_NUL)]
_NS = 1_000_000_000


class UsageQueryArgs(BaseModel):
    """Of what, and from when to when."""

    by: By = Field(default=By.ENVIRONMENT, description="What use is added up by.")
    since: Moment | None = Field(default=None, description="Inclusive; 30 days before `until`.")
    until: Moment | None = Field(default=None, description="Exclusive; now.")
    environment_id: _Id | None = None
    project_id: _Id | None = None
    team_id: _Id | None = None
    account_id: _Id | None = None
    each_period: bool = Field(
        default=False, description="An item for each hour, or day where hours are added up."
    )
    format: Literal["json", "csv"] | None = Field(
        default=None, description="Instead of the header Accept."
    )
    limit: int = Field(default=100, ge=1, le=1000)
    offset: int = Field(default=0, ge=0, le=1_000_000)


class UsedView(BaseModel):
    """What was used."""

    id: str | None = Field(description="null for what belongs to none, such as no team.")
    name: str | None = Field(examples=["billing-api"])
    starts_at: datetime | None = Field(description="Of the period; null for all together.")
    period: Literal["hour", "day"] | None
    running_seconds: float
    unread_seconds: float = Field(
        description="The part of it between the last reading of a run and its end."
    )
    runs: int
    unread_runs: int = Field(description="Runs that ended before anybody read them.")
    cpu_seconds: float
    throttled_seconds: float
    memory_byte_seconds: int
    memory_peak_bytes: int
    memory_limit_bytes: int
    oom_kills: int
    network_rx_bytes: int
    network_tx_bytes: int
    block_read_bytes: int
    block_write_bytes: int
    volume_byte_seconds: int
    layer_byte_seconds: int = Field(description="Of what containers wrote beside their volumes.")
    volume_bytes: int | None = Field(description="Of an environment, at the last reading.")
    layer_bytes: int | None
    disk_read_at: datetime | None = Field(
        description="When that was: longer ago than others where the engine cannot tell its sizes."
    )
    cost: float | None = Field(description="null without prices.")


class DiskReadingView(BaseModel):
    """Whether disks are read. What is held while they are not is booked when they are again."""

    model_config = ConfigDict(from_attributes=True)

    read_at: datetime | None = Field(description="When they were read last.")
    unread_since: datetime | None = Field(description="null where they can be read.")
    reason: str | None = Field(
        description="Why not: engine-timeout, engine-unreachable or engine-failure.",
        examples=["engine-timeout"],
    )


class _Period(BaseModel):
    """From when to when."""

    since: datetime
    until: datetime


# The fields of the last base stand first in the answer.
class UsageView(PageView[UsedView], _Period):
    """Some of the items, and the sum of all: those that are not on this page too."""

    # What else the route answers with: flask-openapi3 reads it here.
    model_config = cast(
        ConfigDict, {"openapi_extra": {"content": {"text/csv": {"schema": {"type": "string"}}}}}
    )

    total: int = Field(description="How many items there are.")
    sum: UsedView
    synthetic: UsedView = Field(
        description="What environments of synthetic accounts have used besides: in no item, and "
        "not in `sum`."
    )
    disk: DiskReadingView
    currency: str = Field(examples=["EUR"])
    prices: dict[str, float] = Field(examples=[{"cpu_hour": 0.04}])


def used_view(used: Used) -> UsedView:
    """Return what is shown of a sum."""
    seconds = {
        f"{name}_seconds": used.sums[f"{name}_ns"] / _NS
        for name in ("running", "unread", "cpu", "throttled")
    }
    rest = {name: value for name, value in used.sums.items() if not name.endswith("_ns")}
    return UsedView(
        id=used.id,
        name=used.name,
        starts_at=used.starts_at,
        period=used.period,
        cost=used.cost,
        volume_bytes=used.disk.volume_bytes if used.disk else None,
        layer_bytes=used.disk.layer_bytes if used.disk else None,
        disk_read_at=used.disk_read_at,
        **seconds,
        **rest,
    )


def usage_view(report: UsageReport, query: UsageQueryArgs, currency: str) -> UsageView:
    """Return the whole answer."""
    return UsageView(
        since=report.since,
        until=report.until,
        items=[used_view(item) for item in report.items],
        total=report.count,
        limit=query.limit,
        offset=query.offset,
        sum=used_view(report.total),
        synthetic=used_view(report.synthetic),
        disk=DiskReadingView.model_validate(report.disk),
        currency=currency,
        prices=dict(report.prices),
    )
