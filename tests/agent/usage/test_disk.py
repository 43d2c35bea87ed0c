"""Sizes on a schedule of their own: booked by day, once, whatever fails, and not too often."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.agent.usage.disk import DiskMeter
from app.agent.usage.retention import UsageRetention
from app.domain.authorization import Identity
from app.domain.usage.disk import DiskLedger
from app.domain.usage.service import Usage, UsageQuery
from app.engine import DiskUse
from app.storage import Environment, UsageDisk, UsagePeriod, UsageRow
from app.storage.cautious_clock import CautiousClock
from app.storage.fence import unfenced
from tests.agent.usage.support import World, sums
from tests.backends.programs import wait_until
from tests.support.fakes import Failure

DAY = 86400
SOON = 30.0
OPERATOR = Identity("1", "root@example.org", is_operator=True)


class Disks:
    """The task, and what it has booked."""

    def __init__(self, world: World) -> None:
        self.world, self.now = world, 0.0
        self.ledger = DiskLedger(world.database, unfenced)
        self.meter = self.start()

    def start(self, interval: float = DAY) -> DiskMeter:
        return DiskMeter(self.world.engine, self.ledger, interval, clock=lambda: self.now)

    def look(self, meter: DiskMeter | None = None) -> None:
        """Let the task come round, and what it begins come to its end."""
        meter = meter or self.meter
        meter.run()
        wait_until(lambda: not meter.is_reading, SOON, 0.002)

    @property
    def asked(self) -> int:
        return self.world.engine.calls.count("disk_usage")

    def pass_by(self, days: float) -> None:
        """Have the last reading be so much longer ago."""
        self.now += days * DAY
        with self.world.database.writing() as session:
            for row in session.scalars(select(UsageDisk)):
                row.read_at -= timedelta(days=days)


@pytest.fixture
def disks(world: World) -> Disks:
    return Disks(world)


def holds(world: World, name: str, *sizes: int) -> str:
    with world.database.reading() as session:
        id = session.scalars(select(Environment.id).where(Environment.name == name)).one()
    world.engine.disks[id] = DiskUse(*sizes)
    return id


def booked(world: World, column: Any = None) -> dict[str, tuple[int, int]]:
    found = sums(world.database, column or UsageRow.environment).items()
    return {name: (use["volume_byte_seconds"], use["layer_byte_seconds"]) for name, use in found}


def test_what_is_held_is_booked_by_day(world: World, disks: Disks) -> None:
    for number, name in enumerate(("one", "two")):
        world.environment(name, number)
        holds(world, name, 1000, 10)
    disks.look()
    assert booked(world) == {}  # since when nobody knows
    disks.pass_by(2.5)
    holds(world, "one", 3000, 10)
    del world.engine.disks[holds(world, "two", 0, 0)]
    disks.look()
    found = booked(world)
    assert found["one"] == pytest.approx((2000 * 2.5 * DAY, 10 * 2.5 * DAY), rel=1e-3)
    assert found["two"] == pytest.approx((500 * 2.5 * DAY, 5 * 2.5 * DAY), rel=1e-3)
    teams = booked(world, UsageRow.team)
    assert (teams["red"], teams["blue"]) == (found["one"], found["two"])
    with world.database.reading() as session:
        rows = list(session.scalars(select(UsageRow).where(UsageRow.environment == "one")))
        assert {row.period for row in rows} == {UsagePeriod.DAY}
        assert len(rows) in (3, 4)


def test_engine_is_asked_once_a_day_over_restarts(world: World, disks: Disks) -> None:
    world.environment("one")
    holds(world, "one", 1000, 10)
    for _ in range(3):
        disks.look()
        disks.look(disks.start())
    assert disks.asked == 1
    disks.pass_by(1)
    disks.look()
    assert disks.asked == 2
    disks.pass_by(9)
    disks.look(disks.start(interval=0))
    assert disks.asked == 2


def test_engine_is_asked_no_more_often_where_nothing_is_held(world: World, disks: Disks) -> None:
    for _ in range(3):
        disks.look()
        disks.now += 3600
    assert disks.asked == 1


def test_engine_that_cannot_tell_is_not_asked_soon_again(world: World, disks: Disks) -> None:
    world.environment("one")
    world.engine.failures["disk_usage"] = Failure.UNREACHABLE
    disks.look()
    disks.look()
    assert disks.asked == 1
    disks.now += 3600
    disks.look()
    assert disks.asked == 2


def test_slow_walk_holds_up_nothing_and_is_not_lost(world: World, disks: Disks) -> None:
    """The task has to come round: it would be told as stuck after a quarter of an hour."""
    world.environment("one")
    holds(world, "one", 1000, 10)
    disks.look()
    disks.pass_by(1)
    walked = threading.Event()
    world.engine.during_walk = lambda: walked.wait(SOON)
    for _ in range(3):
        disks.meter.run()
        disks.now += DAY
    assert (disks.meter.is_reading, booked(world)) == (True, {})
    walked.set()
    wait_until(lambda: not disks.meter.is_reading, SOON, 0.002)
    assert disks.asked == 2
    assert booked(world)["one"] == pytest.approx((1000 * DAY, 10 * DAY), rel=1e-3)


def test_what_cannot_be_read_is_told_with_its_reason_until_it_is(
    world: World, disks: Disks
) -> None:
    def told() -> tuple[str | None, bool]:
        found = Usage(world.database, {}).report(OPERATOR, UsageQuery(), limit=1).disk
        return found.reason, found.unread_since is not None

    for failure, reason in (
        (Failure.TIMED_OUT, "engine-timeout"),
        (Failure.UNREACHABLE, "engine-unreachable"),
    ):
        world.engine.failures["disk_usage"] = failure
        disks.look()
        assert told() == (reason, True)
        disks.now += 3600
    world.engine.failures.clear()
    disks.look()
    assert told() == (None, False)


def test_what_nobody_reads_any_more_is_not_told_as_unread(world: World, disks: Disks) -> None:
    world.engine.failures["disk_usage"] = Failure.UNREACHABLE
    disks.look()
    usage = Usage(world.database, {})
    assert usage.report(OPERATOR, UsageQuery(), limit=1).disk.reason == "engine-unreachable"
    for _ in range(2):
        disks.look(disks.start(interval=0))
        assert usage.report(OPERATOR, UsageQuery(), limit=1).disk.reason is None


def test_size_that_the_engine_cannot_tell_is_booked_later(world: World, disks: Disks) -> None:
    for number, name in enumerate(("one", "two")):
        world.environment(name, number)
        holds(world, name, 1000, 10)
    disks.look()
    disks.pass_by(1)
    id = holds(world, "two", 0, 0)
    world.engine.disks[id] = None
    disks.look()
    assert booked(world).keys() == {"one"}
    disks.pass_by(1)
    holds(world, "two", 3000, 10)
    disks.look()
    found = booked(world)
    assert found["one"] == pytest.approx((1000 * 2 * DAY, 10 * 2 * DAY), rel=1e-3)
    assert found["two"] == pytest.approx((2000 * 2 * DAY, 10 * 2 * DAY), rel=1e-3)


def test_sizes_go_with_the_environment(world: World, disks: Disks) -> None:
    world.environment("one")
    id = holds(world, "one", 1000, 10)
    disks.look()
    with world.database.writing() as session:
        session.execute(update(Environment).where(Environment.id == id).values(container_id=None))
        session.execute(delete(Environment).where(Environment.id == id))
    clock = CautiousClock(world.database)
    UsageRetention(world.database, clock, unfenced, hours=35, days=800).run()
    disks.meter = disks.start()
    disks.look()
    with world.database.reading() as session:
        assert session.scalars(select(UsageDisk)).all() == []


def test_what_files_with_holes_claim_keeps_nobody_elses_unbooked(
    world: World, disks: Disks
) -> None:
    """Docker adds up sizes of files, and `truncate -s 8E` takes no block."""
    for number, name in enumerate(("one", "two")):
        world.environment(name, number)
    holds(world, "one", 2**63 - 1, 2**62)
    holds(world, "two", 1000, 10)
    disks.look()
    disks.pass_by(1.5)
    disks.look()
    found = booked(world)
    assert found["two"] == pytest.approx((1000 * 1.5 * DAY, 10 * 1.5 * DAY), rel=1e-3)
    assert found["one"] == pytest.approx((2**46 * 1.5 * DAY,) * 2, rel=1e-3)


def test_clock_that_was_ahead_puts_off_nothing(world: World, disks: Disks) -> None:
    world.environment("one")
    holds(world, "one", 1000, 10)
    disks.look()
    with world.database.writing() as session:
        for row in session.scalars(select(UsageDisk)):
            row.read_at += timedelta(days=400)
    disks.now += DAY
    for _ in range(2):
        disks.look()
    assert disks.asked == 2


def test_environment_that_is_deleted_meanwhile_holds_up_nobody(world: World, disks: Disks) -> None:
    for name in ("one", "two"):
        world.environment(name)
        gone = holds(world, name, 1000, 10)
    disks.look()
    disks.pass_by(1.5)

    def fence(session: Session) -> None:
        session.execute(delete(Environment).where(Environment.id == gone))

    disks.ledger = DiskLedger(world.database, fence)
    disks.look(disks.start())
    found = booked(world, UsageRow.environment_id)
    assert found.keys() > {gone}
    assert found.pop(gone) == pytest.approx((1000 * 1.5 * DAY, 10 * 1.5 * DAY), rel=1e-3)
