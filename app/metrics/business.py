"""Numbers of how people come to use the service, as the leading agent has counted them.

A scrape reads a row for each way of signing up, and that of the last finished day.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from prometheus_client.core import Metric
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.metrics.catalogue import (
    ACTIVE_DAYS,
    FUNNEL_STEPS,
    MILESTONES,
    SHELL_SECONDS,
    SIGNUP_WAYS,
    business_accounts,
    business_active,
    business_funnel,
    business_second_week,
    business_shell_accounts,
    business_shell_seconds,
    business_signups,
)
from app.storage import BusinessDay, BusinessTotal

_COLUMNS = {
    "signed_up": BusinessTotal.signed_up,
    **{name: getattr(BusinessTotal, name) for name in MILESTONES},
    **{f"then_{name}": getattr(BusinessTotal, f"then_{name}") for name in FUNNEL_STEPS[2:]},
    "shell_us": BusinessTotal.shell_us,
    **{name: getattr(BusinessTotal, f"shell_within_{name}") for name in SHELL_SECONDS},
}

_OF_A_DAY = (*(f"active_{days}" for days in ACTIVE_DAYS), "second_week_over", "returned")


class Counts(NamedTuple):
    """What was counted: sign-ups by way, sums over all ways, and the last finished day."""

    ways: Mapping[str, int]
    sums: Mapping[str, int]
    day: Mapping[str, int]


def count(session: Session) -> Counts:
    """Read the numbers. Raises: StorageError."""
    ways = select(BusinessTotal.way, BusinessTotal.signed_up)
    sums = select(*(func.sum(column).label(name) for name, column in _COLUMNS.items()))
    last = (
        select(*(getattr(BusinessDay, name) for name in _OF_A_DAY))
        .where(BusinessDay.finished)
        .order_by(BusinessDay.day.desc())
        .limit(1)
    )
    found = session.execute(sums).mappings().one()
    return Counts(
        ways={way: signed_up for way, signed_up in session.execute(ways)},
        # Sums of PostgreSQL are decimals, and NULL where there is nothing to add up.
        sums={name: int(value or 0) for name, value in found.items()},
        day=dict(session.execute(last).mappings().one_or_none() or dict.fromkeys(_OF_A_DAY, 0)),
    )


def families(counts: Counts) -> Iterator[Metric]:
    """Yield the families of these numbers."""
    sums, day = counts.sums, counts.day
    yield business_signups.samples(((way,), float(counts.ways.get(way, 0))) for way in SIGNUP_WAYS)
    yield business_accounts.samples(((name,), float(sums[name])) for name in MILESTONES)
    steps = ("signed_up", "environment", *(f"then_{name}" for name in FUNNEL_STEPS[2:]))
    yield business_funnel.samples(
        ((step,), float(sums[name])) for step, name in zip(FUNNEL_STEPS, steps, strict=True)
    )
    yield business_shell_accounts.samples(
        ((seconds,), float(sums[seconds])) for seconds in SHELL_SECONDS
    )
    yield business_shell_seconds.samples([((), sums["shell_us"] / 1e6)])
    yield business_active.samples(((days,), float(day[f"active_{days}"])) for days in ACTIVE_DAYS)
    over, returned = day["second_week_over"], day["returned"]
    yield business_second_week.samples([(("over",), over), (("returned",), returned)])
