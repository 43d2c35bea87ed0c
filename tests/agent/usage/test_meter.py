"""The meter and its ledger: ends, what is unread, and one container that cannot be read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from app.agent.usage.meter import Meter
from app.domain.authorization import Identity
from app.domain.quotas.month import rows_of
from app.domain.usage import service
from app.domain.usage.booking import COUNTERS
from app.domain.usage.ledger import Ledger, Reading
from app.domain.usage.service import Usage, UsageQuery
from app.engine import RunCounters
from app.storage import (
    ContainerExit,
    Database,
    Environment,
    ExitReason,
    Team,
    UsageCursor,
    UsageRow,
    UsageTotal,
    UsageTotalKind,
    utc_now,
)
from app.storage.fence import unfenced
from app.storage.months import used_this_month
from tests.agent.usage.support import NS, World, sums

OPERATOR = Identity("op", "op@example.org", is_operator=True)


def test_end_books_the_time_that_nobody_read(world: World) -> None:
    container = world.environment("one")
    world.use(container, 100, seconds=10)
    world.meter().run()
    world.use(container, 50, seconds=3)
    world.note_end(container, after=2)
    for _ in range(2):  # once, however often it is looked for
        world.meter().run()
    booked = sums(world.database)[None]
    assert (booked["cpu_ns"], booked["runs"], booked["unread_runs"]) == (100, 1, 0)
    assert booked["unread_ns"] == 5 * NS
    # The first reading of a fake run is 10 s after its start, less the second that runs are apart.
    assert booked["running_ns"] == (19 + 5) * NS


def test_run_that_was_too_short_to_be_read_is_listed(world: World) -> None:
    container = world.environment("one")
    world.use(container, 100, seconds=10)
    world.note_end(container)
    world.meter().run()
    booked = sums(world.database)[None]
    assert (booked["cpu_ns"], booked["runs"], booked["unread_runs"]) == (0, 1, 1)
    assert booked["running_ns"] == booked["unread_ns"] == 19 * NS
    assert set(sums(world.database, UsageRow.team)) == {"red"}


def test_end_for_want_of_memory_is_a_kill(world: World) -> None:
    container = world.environment("one")
    world.meter().run()
    world.note_end(container, ExitReason.OOM)
    world.meter().run()
    assert sums(world.database)[None]["oom_kills"] == 1


def test_end_of_what_was_deleted_counts_for_its_team(world: World) -> None:
    container = world.environment("one")
    world.use(container, 100)
    world.meter().run()
    world.note_end(container, after=5 * 3600)
    with world.database.writing() as session:
        session.execute(delete(Environment))
    world.meter().run()
    booked = sums(world.database, UsageRow.team)
    assert set(booked) == {"red"}
    assert booked["red"]["unread_ns"] == 5 * 3600 * NS
    names = select(UsageRow.environment, UsageRow.project, UsageRow.account).distinct()
    with world.database.reading() as session:
        assert session.execute(names).all() == [("one", "of-red", "ada@example.org")]


def test_container_that_may_end_is_read_at_once(world: World) -> None:
    first, second = world.environment("one"), world.environment("two")
    meter = Meter(world.database, world.engine, Ledger(world.database, unfenced), 3600)
    meter.run()
    for container in (first, second):
        world.use(container, 100)
    meter.read_soon("", "gone by now")
    meter.read_soon(world.engine.inspect(first).environment_id or "", first)
    assert meter.wanted.is_set()
    meter.run()
    assert sums(world.database)[None]["cpu_ns"] == 100


def test_container_that_cannot_be_read_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = world.environment("bad"), world.environment("good", team=1)
    for container in (bad, good):
        world.use(container, 100)
    counters = world.engine.counters

    def fitful(container: str) -> RunCounters:
        if container == bad:
            raise RuntimeError("a bug")
        return counters(container)

    monkeypatch.setattr(world.engine, "counters", fitful)
    world.meter().run()
    assert {team: use["cpu_ns"] for team, use in sums(world.database, UsageRow.team).items()} == {
        "blue": 100
    }


def test_reading_that_cannot_be_booked_holds_up_no_other(world: World) -> None:
    bad, good = world.environment("bad"), world.environment("good", team=1)
    for container in (bad, good):
        world.use(container, 100)

    class Choosy(Ledger):
        def store(self, readings: list[Reading]) -> None:  # type: ignore[override]
            if any(reading.run.container_id == bad for reading in readings):
                raise RuntimeError("a bug")
            super().store(readings)

    Meter(world.database, world.engine, Choosy(world.database, unfenced), 0).run()
    assert set(sums(world.database, UsageRow.team)) == {"blue"}


def test_run_that_was_taken_for_ended_goes_on(world: World) -> None:
    container = world.environment("one")
    world.use(container, 100)
    world.meter().run()
    with world.database.writing() as session:
        session.execute(update(UsageCursor).values(ended=True))
    world.use(container, 100)
    world.meter().run()
    booked = sums(world.database)[None]
    assert (booked["cpu_ns"], booked["runs"], booked["running_ns"]) == (200, 1, 29 * NS)


def test_environment_of_nobody_known_is_booked_all_the_same(database: Database) -> None:
    """A short run whose environment is gone: the sum over teams is that over environments."""
    at = utc_now().replace(minute=30, microsecond=0)
    started = (at - timedelta(seconds=4)).isoformat()
    with database.writing() as session:
        session.add(
            ContainerExit(
                container_id="gone",
                run_started=started,
                environment_id="nobody",
                reason=ExitReason.USER,
                exited_at=at,
            )
        )
    ledger = Ledger(database, unfenced)
    ledger.close(ledger.ended())
    assert ledger.ended() == []
    assert sums(database, UsageRow.team) == {None: sums(database)[None]}
    assert sums(database)[None]["unread_ns"] == 4 * NS


def test_totals_hold_more_than_64_bits(world: World) -> None:
    for name in ("one", "two", "three", "four"):
        world.use(world.environment(name), 2**62)
    world.meter().run()
    with world.database.reading() as session:
        query = select(UsageTotal.cpu_ns).where(UsageTotal.kind == UsageTotalKind.TEAM)
        assert [int(value) for value in session.scalars(query)] == [2**64]


def test_engine_is_asked_the_more_rarely_the_more_containers_there_are(world: World) -> None:
    now = 100.0
    ledger = Ledger(world.database, unfenced)
    meter = Meter(world.database, world.engine, ledger, 1, clock=lambda: now)
    names = [f"env-{number}" for number in range(60)]
    containers = [world.environment(name) for name in names]
    asked = []
    for _ in range(6):
        before = world.engine.calls.count("counters")
        meter.run()
        asked.append(world.engine.calls.count("counters") - before)
        now += 1
    # 60 of them, 20 a second: every three seconds, and once more when it is known how.
    assert asked == [60, 60, 0, 0, 60, 0]
    meter.read_soon("", containers[0])
    before = world.engine.calls.count("counters")
    meter.run()
    assert world.engine.calls.count("counters") - before == 1


def test_report_is_of_one_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    container = world.environment("one")
    world.use(container, 100)
    world.meter().run()
    names = service._names

    def booked_meanwhile(*arguments: Any) -> dict[str, str]:
        world.use(container, 50)
        world.meter().run()
        return names(*arguments)

    monkeypatch.setattr(service, "_names", booked_meanwhile)
    ever = UsageQuery(
        since=datetime(2000, 1, 1, tzinfo=UTC), until=datetime(2100, 1, 1, tzinfo=UTC)
    )
    for cpu in (100, 150):
        found = Usage(world.database, {}).report(OPERATOR, ever, limit=10)
        assert [item.sums for item in found.items] == [found.total.sums]
        assert (found.items[0].name, found.total.sums["cpu_ns"]) == ("one", cpu)


def test_month_is_added_up(world: World) -> None:
    container = world.environment("one")
    world.use(container, 3600 * NS)
    world.meter().run()
    with world.database.writing() as session:
        session.execute(update(UsageRow).values(starts_at=utc_now()))
        team = session.scalars(select(Team).where(Team.name == "red")).one()
        assert used_this_month(session, rows_of(team)).cpu_hours == 1
        assert used_this_month(session, rows_of(world.maker)).cpu_hours == 0


@pytest.mark.parametrize("in_one_term", [True, False])
def test_clock_that_leaps_is_no_time_that_anything_ran(world: World, in_one_term: bool) -> None:
    container = world.environment("one")
    meter = world.meter()
    world.use(container, 100)
    meter.run()
    before = sums(world.database)[None]
    leap = 300 * 86400
    world.use(container, 50, seconds=10 + leap, memory_bytes=1000)
    world.passed -= leap
    (meter if in_one_term else world.meter()).run()
    after = sums(world.database)[None]
    ran = 10 if in_one_term else 10 + leap
    assert after["running_ns"] - before["running_ns"] == ran * NS
    assert after["memory_byte_seconds"] == 500 * ran
    assert after["cpu_ns"] == 150
    # It is set back again: that costs the time between two readings.
    world.use(container, 7, seconds=-leap)
    world.passed += leap + 10
    meter.run()
    assert sums(world.database)[None] == {**after, **used(7, after)}


def used(amount: int, before: dict[str, int]) -> dict[str, int]:
    """Return all counters with so much more."""
    return {name: before[name] + amount for name in COUNTERS}
