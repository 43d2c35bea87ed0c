"""The query and the answer of the route of the business."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.domain.business.days import ACTIVE
from app.domain.business.journey import FUNNEL, SUMS, WITHIN
from app.domain.business.service import BusinessReport, Cohort

_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _a_day(value: Any) -> Any:
    # pydantic alone takes a number of seconds for a day, which the schema that we publish does not.
    if isinstance(value, str) and not _WRITTEN.fullmatch(value):
        raise ValueError("Enter a day, such as 2030-01-31.")
    return value


_Day = Annotated[date, BeforeValidator(_a_day)]


class BusinessQuery(BaseModel):
    """From which day to which, in UTC."""

    since: _Day | None = Field(default=None, description="Inclusive; 30 days with `until`.")
    until: _Day | None = Field(default=None, description="Inclusive; today.")
    format: Literal["json", "csv"] | None = Field(
        default=None, description="Instead of the header Accept."
    )


class FunnelStep(BaseModel):
    """How many came to this step and to all before it."""

    step: Literal["signed_up", "environment", "started", "shell", "second_week"]
    accounts: int


class Within(BaseModel):
    """How many had a usable shell within so many seconds of their sign-up."""

    seconds: int
    accounts: int


class TimeToShell(BaseModel):
    """From sign-up to the first usable shell."""

    accounts: int = Field(description="How many had one.")
    seconds: float = Field(description="All of them together.")
    within: list[Within]


class SecondWeek(BaseModel):
    """Who came back 7 to 14 days after sign-up."""

    over: int = Field(description="Sign-ups of these days whose second week has passed.")
    returned: int = Field(description="Sign-ups of these days that have come back in it by now.")


class DayView(BaseModel):
    """A day, and who was active on it, or within 7 or 30 days that end with it."""

    day: date
    finished: bool = Field(description="false: it goes on, or was over within the hour.")
    active_1: int
    active_7: int
    active_30: int


class CohortView(BaseModel):
    """Those who signed up on a day in one way, and how many of them have come how far by now."""

    day: date
    way: str = Field(examples=["invitation"])
    signed_up: int
    environment: int
    started: int
    terminal: int
    vscode: int
    shell: int = Field(description="A terminal or VS Code.")
    second_week: int
    then_started: int = Field(description="With an environment before.")
    then_shell: int = Field(description="With an environment and a start before.")
    then_second_week: int = Field(description="With all of that before.")
    shell_seconds: float
    shell_within_60: int
    shell_within_300: int
    shell_within_900: int
    shell_within_3600: int
    shell_within_14400: int
    shell_within_86400: int
    shell_within_604800: int


class BusinessView(BaseModel):
    """The numbers of some days; deleted accounts are in them."""

    # What else the route answers with: flask-openapi3 reads it here.
    model_config = cast(
        ConfigDict, {"openapi_extra": {"content": {"text/csv": {"schema": {"type": "string"}}}}}
    )

    since: date
    until: date
    read_at: datetime | None = Field(
        description="Up to when the audit log was read; null: not yet."
    )
    sign_ups: dict[str, int] = Field(
        description="By way, of those that somebody took.", examples=[{"invitation": 12}]
    )
    funnel: list[FunnelStep]
    time_to_shell: TimeToShell
    second_week: SecondWeek
    days: list[DayView]
    cohorts: list[CohortView]


def business_view(report: BusinessReport) -> BusinessView:
    """Return the whole answer."""
    sums = report.sums
    return BusinessView(
        since=report.since,
        until=report.until,
        read_at=report.read_at,
        sign_ups=dict(report.ways),
        funnel=[
            FunnelStep(step=cast(Any, name.removeprefix("then_")), accounts=sums[name])
            for name in FUNNEL
        ],
        time_to_shell=TimeToShell(
            accounts=sums["shell"], seconds=sums["shell_us"] / 1e6, within=list(_within(sums))
        ),
        second_week=SecondWeek(over=report.second_week_over, returned=sums["second_week"]),
        days=[
            DayView(
                day=one.day,
                finished=one.finished,
                **{f"active_{days}": getattr(one, f"active_{days}") for days in ACTIVE},
            )
            for one in report.days
        ],
        cohorts=[_cohort_view(one) for one in report.cohorts],
    )


def _within(sums: Any) -> Iterator[Within]:
    for seconds in WITHIN:
        yield Within(seconds=seconds, accounts=sums[f"shell_within_{seconds}"])


def _cohort_view(cohort: Cohort) -> CohortView:
    counts = {name: cohort.sums[name] for name in SUMS if name != "shell_us"}
    seconds = cohort.sums["shell_us"] / 1e6
    return CohortView(day=cohort.day, way=cohort.way, shell_seconds=seconds, **counts)
