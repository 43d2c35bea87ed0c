"""Old hours become days, and no sum changes; old days go."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from app.agent.usage import retention
from app.agent.usage.retention import UsageRetention
from app.storage import Database, UsagePeriod, UsageRow, utc_now
from app.storage.cautious_clock import CautiousClock
from app.storage.fence import unfenced
from tests.agent.usage.support import sums
from tests.domain.business.support import Clock


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BATCH", 7)


def add(database: Database, period: UsagePeriod, *moments: datetime) -> None:
    with database.writing() as session:
        for number, moment in enumerate(moments):
            start = moment.replace(minute=0, second=0, microsecond=0)
            peak = 1000 + number
            row = UsageRow(environment_id="e", starts_at=start, period=period, team="red")
            row.cpu_ns, row.memory_peak_bytes = 10, peak
            session.add(row)


def run(database: Database) -> None:
    task = UsageRetention(database, CautiousClock(database), unfenced, hours=35, days=800)
    task.run()


def rows(database: Database, period: UsagePeriod) -> list[UsageRow]:
    query = select(UsageRow).where(UsageRow.period == period).order_by(UsageRow.starts_at)
    with database.reading() as session:
        found = list(session.scalars(query))
        session.expunge_all()
        return found


def test_old_hours_are_added_up_by_day(database: Database) -> None:
    day = (utc_now() - timedelta(days=40)).replace(hour=0, minute=0)
    add(database, UsagePeriod.HOUR, *(day + timedelta(hours=hour) for hour in range(30)))
    add(database, UsagePeriod.HOUR, utc_now())
    before = sums(database, UsageRow.team)
    run(database)
    assert sums(database, UsageRow.team) == before
    assert len(rows(database, UsagePeriod.HOUR)) == 1
    first, second = rows(database, UsagePeriod.DAY)
    assert (first.cpu_ns, first.memory_peak_bytes) == (240, 1023)
    assert (second.cpu_ns, second.memory_peak_bytes) == (60, 1029)
    assert first.starts_at == day.replace(second=0, microsecond=0, tzinfo=UTC)


def test_hour_that_is_booked_late_joins_its_day(database: Database) -> None:
    day = (utc_now() - timedelta(days=40)).replace(hour=0, minute=0)
    for _ in range(2):
        add(database, UsagePeriod.HOUR, day + timedelta(hours=3))
        run(database)
    (only,) = rows(database, UsagePeriod.DAY)
    assert only.cpu_ns == 20


def test_old_days_go(database: Database) -> None:
    now = utc_now()
    days = [now - timedelta(days=801 + number) for number in range(9)]
    add(database, UsagePeriod.DAY, *days, now - timedelta(days=700))
    run(database)
    assert len(rows(database, UsagePeriod.DAY)) == 1


def test_days_of_this_month_stay_for_its_quotas(database: Database) -> None:
    end = datetime(2030, 1, 31, 23, tzinfo=UTC)
    add(database, UsagePeriod.DAY, datetime(2029, 12, 31, tzinfo=UTC), end.replace(day=1, hour=0))
    UsageRetention(database, Clock(end), unfenced, hours=2, days=2).run()  # type: ignore[arg-type]
    assert [row.starts_at.day for row in rows(database, UsagePeriod.DAY)] == [1]
