"""The lease: one holder at a time, and nobody who was replaced can write."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from app.agent.leader.lease import Held, Leases, fence
from app.core.errors import LeadershipLostError, StorageUnavailableError
from app.storage import Database, EventCount, Lease, utc_now
from app.storage.lease import NAME, agent_leads

ROW = {"directory": "d", "family": "f", "value": "v"}


def expire(database: Database) -> None:
    """Let the time of the lease run out."""
    with database.writing() as session:
        past = utc_now() - timedelta(seconds=1)
        session.execute(update(Lease).where(Lease.name == NAME).values(expires_at=past))


def won(leases: Leases) -> Held:
    held = leases.win()
    assert held is not None
    return held


def test_one_wins_and_keeps_it(database: Database) -> None:
    first, second = Leases(database, "first"), Leases(database, "second")

    held = won(first)

    assert second.win() is None
    assert first.win() is None
    assert first.renew(held)


def test_lost_lease_is_taken_with_the_next_epoch(database: Database) -> None:
    first, second = Leases(database, "first"), Leases(database, "second")
    old = won(first)
    expire(database)

    new = won(second)

    assert new.epoch == old.epoch + 1
    assert not first.renew(old)
    first.release(old)
    assert second.renew(new)


def test_lease_that_lasts_longer_than_one_can_is_worth_nothing(database: Database) -> None:
    """Whoever wrote it had a clock that is ahead; nobody could lead for that long."""
    first, second = Leases(database, "first"), Leases(database, "second")
    old = won(first)
    with database.writing() as session:
        ahead = utc_now() + timedelta(hours=1)
        session.execute(update(Lease).where(Lease.name == NAME).values(expires_at=ahead))

    assert not agent_leads(database, 5)
    with pytest.raises(LeadershipLostError), database.writing() as session:
        fence(session, old)
    assert won(second).epoch == old.epoch + 1
    assert agent_leads(database, 5)


def test_released_lease_is_free_at_once(database: Database) -> None:
    first, second = Leases(database, "first"), Leases(database, "second")
    first.release(won(first))

    assert won(second).epoch == 2


@pytest.mark.parametrize("how", ["expired", "taken", "another epoch"])
def test_fence_stops_who_leads_no_longer(database: Database, how: str) -> None:
    leases = Leases(database, "first")
    held = won(leases)
    with database.writing() as session:
        fence(session, held)  # passes
    if how == "another epoch":
        held = Held(held.holder, held.epoch - 1)
    else:
        expire(database)
    if how == "taken":
        won(Leases(database, "second"))

    with pytest.raises(LeadershipLostError), database.writing() as session:
        session.add(EventCount(**ROW, count=1))
        fence(session, held)

    with database.reading() as session:
        assert session.get(EventCount, tuple(ROW.values())) is None


@pytest.fixture
def shared(migrated_postgresql: str) -> Iterator[Database]:
    """A real database of several processes."""
    database = Database(migrated_postgresql)
    yield database
    database.dispose()


@pytest.mark.integration
def test_of_many_that_contend_one_wins(shared: Database) -> None:
    winners: list[Held] = []

    def contend(name: str) -> None:
        held = Leases(shared, name).win()
        if held is not None:
            winners.append(held)

    threads = [threading.Thread(target=contend, args=(f"agent-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(winners) == 1


@pytest.mark.integration
def test_who_is_frozen_in_a_transaction_cannot_commit_once_replaced(shared: Database) -> None:
    held = won(Leases(shared, "frozen"))
    started = time.monotonic()

    with pytest.raises(StorageUnavailableError), shared.writing() as session:
        fence(session, held)
        session.add(EventCount(**ROW, count=1))
        session.flush()
        # As good as frozen: it does nothing while others want the lead.
        new = None
        while new is None and time.monotonic() - started < 30:
            # Waits for the row until the server has ended the transaction that does nothing.
            new = _take(shared)

    seconds = time.monotonic() - started
    print(f"replaced after {seconds:.1f} s")
    assert new is not None and new.epoch == held.epoch + 1
    with shared.reading() as session:
        assert session.get(EventCount, tuple(ROW.values())) is None


def _take(database: Database) -> Held | None:
    expire(database)
    return Leases(database, "next").win()
