"""The database's clock: in statements and beside them, on both databases."""

from datetime import timedelta

from sqlalchemy import select, update

from app.storage import Database, Process, db_now, now, utc_now

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def test_the_clock_is_that_of_now_and_of_any_time_from_it(database: Database) -> None:
    before = utc_now()
    with database.reading() as session:
        moment, ago, ahead = session.execute(
            select(db_now(), db_now(-HOUR), db_now(timedelta(milliseconds=1500)))
        ).one()
    after = utc_now()

    assert before <= moment <= after
    assert before - HOUR <= ago <= after - HOUR
    assert before + 1.5 * SECOND <= ahead <= after + 1.5 * SECOND


def test_it_is_read_anew_by_each_statement(database: Database) -> None:
    with database.reading() as session:
        assert now(session) < now(session)


def test_what_it_writes_compares_with_it_and_comes_back_as_it_was(database: Database) -> None:
    with database.writing() as session:
        session.add(Process(id="p", place="web"))
    with database.writing() as session:
        written = session.scalar(
            update(Process).values(seen_at=db_now()).returning(Process.seen_at)
        )
    with database.reading() as session:
        kept = session.scalars(select(Process.seen_at)).one()
        seen = Process.seen_at
        wanted = (seen <= db_now()) & (seen > db_now(-5 * SECOND)) & (seen < db_now(5 * SECOND))
        assert session.scalars(select(Process.id).where(wanted)).all() == ["p"]
    assert written == kept
    assert kept.tzinfo is not None and abs(utc_now() - kept) < 5 * SECOND


def test_the_lease_is_told_in_seconds_from_the_clock(database: Database) -> None:
    assert database.agent_lease(5) is None
    with database.writing() as session:
        session.connection().exec_driver_sql(
            "INSERT INTO leases (name, holder, epoch, expires_at)"
            " VALUES ('agent', 'a', 1, '2026-01-01 00:00:00+00:00')"
            if database.engine.name == "postgresql"
            else "INSERT INTO leases (name, holder, epoch, expires_at)"
            " VALUES ('agent', 'a', 1, '2026-01-01 00:00:00.000000')"
        )
    left = database.agent_lease(5)
    assert left is not None and left < 0
