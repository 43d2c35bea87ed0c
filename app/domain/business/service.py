"""Reads the sums: for operators, of all accounts together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select

from app.core.errors import BusinessNotCountedError, InvalidInputError
from app.domain.authorization import Action, Identity, may_in
from app.domain.business.journey import SUMS, day_of
from app.storage import BusinessCohort, BusinessCursor, BusinessDay, Database, now

USUAL = 30
LONGEST = 1100
"""Days that are asked for."""

_SECOND_WEEK = timedelta(days=14)


@dataclass(frozen=True)
class Cohort:
    """Those who signed up on one day in one way, and what has become of them by now."""

    day: date
    way: str
    sums: Mapping[str, int]


@dataclass(frozen=True)
class BusinessReport:
    """The days from `since` to `until`, both inside.

    Attributes: read_at (up to when the audit log was read; None: not yet); ways (sign-ups by way);
    sums (of all cohorts); second_week_over (sign-ups of these days whose second week has passed).
    """

    since: date
    until: date
    read_at: datetime | None
    cohorts: Sequence[Cohort]
    days: Sequence[BusinessDay]
    ways: Mapping[str, int]
    sums: Mapping[str, int]
    second_week_over: int


class BusinessNumbers:
    """The readers' side."""

    def __init__(self, database: Database, *, enabled: bool) -> None:
        self._database = database
        self._enabled = enabled

    def report(
        self, identity: Identity, since: date | None = None, until: date | None = None
    ) -> BusinessReport:
        """Return the numbers of some days; without `since`, of the last 30.

        Raises: PermissionDeniedError, BusinessNotCountedError, InvalidInputError.
        """
        may_in(identity, Action.BUSINESS_READ)
        if not self._enabled:
            raise BusinessNotCountedError
        with self._database.reading() as session:
            today = day_of(now(session))
            until = until or today
            since = since or max(date.min, until - min(until - date.min, timedelta(USUAL - 1)))
            _refuse(since, until, today)
            read_at = session.scalar(select(BusinessCursor.read_at))
            columns = [getattr(BusinessCohort, name) for name in SUMS]
            rows = session.execute(
                select(BusinessCohort.day, BusinessCohort.way, *columns)
                .where(BusinessCohort.day.between(since, until))
                .order_by(BusinessCohort.day, BusinessCohort.way)
            )
            cohorts = [_cohort(*row) for row in rows]
            of_days = select(BusinessDay).where(BusinessDay.day.between(since, until))
            days = session.scalars(of_days.order_by(BusinessDay.day)).all()
            session.expunge_all()
        # One that was found to be another's, or a synthetic account's, is empty.
        cohorts = [one for one in cohorts if any(one.sums.values())]
        over = [one for one in cohorts if one.day < today - _SECOND_WEEK]
        return BusinessReport(
            since=since,
            until=until,
            read_at=read_at,
            cohorts=cohorts,
            days=days,
            ways=_by_way(cohorts),
            sums={name: _sum(cohorts, name) for name in SUMS},
            second_week_over=_sum(over, "signed_up"),
        )


def _refuse(since: date, until: date, today: date) -> None:
    if since > until:
        end = f"today ({until}, UTC)" if until == today else f"{until}"
        message = f"Name a day not after `until`, which is {end}."
        raise InvalidInputError([{"field": "since", "message": message}])
    days = (until - since).days + 1
    if days > LONGEST:
        message = f"Name at most {LONGEST} days; to {until} these are {days}."
        raise InvalidInputError([{"field": "since", "message": message}])


def _cohort(day: date, way: str, *values: Any) -> Cohort:
    return Cohort(day, way, dict(zip(SUMS, values, strict=True)))


def _by_way(cohorts: Sequence[Cohort]) -> dict[str, int]:
    ways = sorted({one.way for one in cohorts})
    return {way: _sum([one for one in cohorts if one.way == way], "signed_up") for way in ways}


def _sum(cohorts: Sequence[Cohort], name: str) -> int:
    return sum(one.sums[name] for one in cohorts)
