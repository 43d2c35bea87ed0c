"""What environments of synthetic accounts use is booked apart: in no other sum, and not lost."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from app.agent.usage.retention import UsageRetention
from app.domain.authorization import Identity
from app.domain.usage.service import By, Usage, UsageQuery, UsageReport
from app.storage import (
    SYNTHETIC,
    ContainerExit,
    Environment,
    UsageRow,
    UsageTotal,
    UsageTotalKind,
)
from app.storage.cautious_clock import CautiousClock
from app.storage.fence import unfenced
from app.storage.months import used_this_month
from tests.agent.usage.support import World, sums
from tests.support.fakes import FIRST_START

DAY = timedelta(days=1)
OPERATOR = Identity("op", "op@example.org", is_operator=True)


def mark(world: World, container: str) -> None:
    mine = Environment.container_id == container
    with world.database.writing() as session:
        session.execute(update(Environment).where(mine).values(is_synthetic=True))


def report(world: World, by: By = By.ENVIRONMENT) -> UsageReport:
    query = UsageQuery(by=by, since=FIRST_START - DAY, until=FIRST_START + DAY)
    return Usage(world.database, {}).report(OPERATOR, query, limit=100)


def booked(world: World) -> tuple[int, int]:
    """Return the CPU that is booked of all others, and of synthetic ones."""
    found = report(world)
    return found.total.sums["cpu_ns"], found.synthetic.sums["cpu_ns"]


@pytest.fixture
def used(world: World) -> World:
    """One environment of somebody, and two of the synthetic user, that have been read."""
    for name, amount in (("hers", 100), ("probe-1", 30), ("probe-2", 5)):
        container = world.environment(name)
        if name != "hers":
            mark(world, container)
        world.use(container, amount)
    world.meter().run()
    return world


def test_sums_of_others_have_nothing_of_it_and_none_is_lost(used: World) -> None:
    assert booked(used) == (100, 35)
    for by in By:
        found = report(used, by)
        assert sum(item.sums["cpu_ns"] for item in found.items) == found.total.sums["cpu_ns"] == 100
        assert SYNTHETIC not in {item.id for item in found.items}
    # All that was read is there, in one row for all of the synthetic user's environments.
    assert sums(used.database)[None]["cpu_ns"] == 135
    assert {SYNTHETIC: 35}.items() <= {
        id: values["cpu_ns"] for id, values in sums(used.database, UsageRow.environment_id).items()
    }.items()
    with used.database.reading() as session:
        totals = {
            (total.kind, total.id): int(total.cpu_ns)
            for total in session.scalars(select(UsageTotal))
        }
    of_teams = [cpu for (kind, _), cpu in totals.items() if kind is UsageTotalKind.TEAM]
    assert of_teams == [100] and totals[UsageTotalKind.ENVIRONMENT, SYNTHETIC] == 35


def test_quota_of_a_month_holds_for_it(used: World) -> None:
    rows = UsageRow.account_id == used.maker.id
    with used.database.reading() as session:
        assert used_this_month(session, rows).cpu_hours == round(135 / 3600e9, 6)
        assert session.scalar(select(UsageRow.account).where(UsageRow.environment_id == SYNTHETIC))


@pytest.mark.parametrize("is_read", [True, False], ids=["after a reading", "never read"])
def test_end_after_the_environment_is_gone_is_its_own(world: World, is_read: bool) -> None:
    container = world.environment("probe-1")
    mark(world, container)
    world.use(container, 30)
    if is_read:
        world.meter().run()
    world.note_end(container, after=2)
    with world.database.writing() as session:
        session.execute(update(ContainerExit).values(is_synthetic=True))
        session.execute(delete(Environment))
    world.meter().run()
    found = report(world)
    assert found.items == [] and found.total.sums["runs"] == 0
    assert found.synthetic.sums["runs"] == 1
    assert found.synthetic.sums["unread_runs"] == int(not is_read)


def test_total_stays_while_its_environments_go(used: World) -> None:
    with used.database.writing() as session:
        session.execute(delete(Environment).where(Environment.is_synthetic))
    clock = CautiousClock(used.database)
    UsageRetention(used.database, clock, unfenced, hours=35, days=800).run()
    with used.database.reading() as session:
        assert session.get(UsageTotal, (UsageTotalKind.ENVIRONMENT, SYNTHETIC)) is not None
