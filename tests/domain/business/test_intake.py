"""How the audit log is read: late entries, clocks that jump, two leaders, off and on again."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from app.core.errors import LeadershipLostError
from app.domain.business.days import Days
from app.domain.business.intake import Intake
from app.domain.business.journey import SUMS
from app.storage import (
    AuditEntry,
    BusinessAccount,
    BusinessCohort,
    BusinessCursor,
    BusinessDay,
    BusinessTotal,
    Database,
    User,
    new_id,
)
from app.storage.fence import unfenced
from tests.backends.migrated import at_head
from tests.domain.business.support import Clock, leader

NOON = datetime(2026, 2, 28, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TABLES = (BusinessAccount, BusinessCohort, BusinessTotal, BusinessDay, BusinessCursor)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = at_head(f"sqlite:///{tmp_path}/vibebox.db")
    else:
        url = request.getfixturevalue("migrated_postgresql")
    database = Database(url)
    yield database
    database.dispose()


class Log:
    """Writes entries, and accounts where there are to be some."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sign_up(self, at: datetime, way: str = "open", **columns: Any) -> str:
        user = User(id=new_id(), email=f"{new_id()}@example.org", password_hash="", created_at=at)
        with self._database.writing() as session:
            session.add(user)
            session.add(entry(at, "account.register", user.id, user.id, {"way": way}, **columns))
            return user.id

    def write(self, *entries: AuditEntry) -> None:
        with self._database.writing() as session:
            session.add_all(entries)


def entry(
    at: datetime,
    action: str,
    who: str | None,
    target: str | None = None,
    details: dict[str, Any] | None = None,
    **columns: Any,
) -> AuditEntry:
    kind = action.partition(".")[0]
    return AuditEntry(
        at=at,
        action=action,
        actor_id=who,
        actor=who or "vibebox",
        target_kind=kind,
        target_id=target,
        details=details or {},
        **columns,
    )


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)


def sums(database: Database) -> dict[str, int]:
    """Return the totals that are not 0; they are the sums of the cohorts."""
    with database.reading() as session:
        found = [
            session.execute(select(*(func.sum(getattr(table, name)) for name in SUMS))).one()
            for table in (BusinessTotal, BusinessCohort)
        ]
    totals, cohorts = ([int(value or 0) for value in row] for row in found)
    assert totals == cohorts
    return {name: value for name, value in zip(SUMS, totals, strict=True) if value}


def active(database: Database, day: date) -> tuple[int, int, int]:
    with database.reading() as session:
        row = session.get_one(BusinessDay, day)
        return row.active_1, row.active_7, row.active_30


def test_reading_again_changes_nothing(database: Database, log: Log) -> None:
    who = log.sign_up(NOON)
    log.write(entry(NOON + HOUR, "environment.create", who))
    intake = Intake(database, unfenced, batch=1)
    for minutes in (61, 62, 75, 90):
        intake.run(NOON + timedelta(minutes=minutes))
        assert sums(database) == {"signed_up": 1, "environment": 1}


def test_entry_that_appears_below_others_is_taken_in(database: Database, log: Log) -> None:
    """A transaction may take its number and end when later ones were read already."""
    who = log.sign_up(NOON, id=10)
    log.write(entry(NOON, "account.login", who, id=30))
    intake = Intake(database, unfenced)
    for minutes in (0, 5, 11):
        intake.run(NOON + timedelta(minutes=minutes))
    log.write(entry(NOON, "environment.create", who, id=20))
    intake.run(NOON + timedelta(minutes=12))
    assert sums(database) == {"signed_up": 1, "environment": 1}
    # What is so old that no transaction can still be open is not read any more.
    for minutes in (25, 36, 47):
        intake.run(NOON + timedelta(minutes=minutes))
    with database.reading() as session:
        assert session.get_one(BusinessCursor, 1).older == 30


def test_log_that_was_emptied_begins_anew(database: Database, log: Log) -> None:
    log.sign_up(NOON, id=1000)
    intake = Intake(database, unfenced)
    intake.run(NOON + 2 * HOUR)
    with database.writing() as session:
        session.execute(delete(AuditEntry))
    log.sign_up(NOON + 3 * HOUR, id=1)
    intake.run(NOON + 3 * HOUR)
    assert sums(database)["signed_up"] == 2


def test_of_two_workers_the_first_moment_counts(database: Database, log: Log) -> None:
    who = log.sign_up(NOON)
    moments = [NOON + timedelta(seconds=seconds) for seconds in (50, 40)]
    log.write(*(entry(at, "session.open", who, details={"type": "tmux"}) for at in moments))
    Intake(database, unfenced).run(NOON + HOUR)
    assert sums(database)["shell_us"] == 40_000_000
    assert sums(database)["terminal"] == 1


def test_two_leaders_count_once(database: Database, log: Log) -> None:
    """The old one has begun a round when the new one reads; its fence ends it."""
    who = log.sign_up(NOON)
    log.write(entry(NOON, "environment.create", who))

    def lost(_session: Any) -> None:
        raise LeadershipLostError

    Intake(database, unfenced).run(NOON + HOUR)
    with pytest.raises(LeadershipLostError):
        Intake(database, lost).run(NOON + HOUR)
    with pytest.raises(LeadershipLostError):
        Days(database, lost).run(NOON + HOUR)
    with pytest.raises(LeadershipLostError):
        Intake(database, lost).forget()
    assert sums(database) == {"signed_up": 1, "environment": 1}


def test_clock_of_a_host_that_is_a_year_ahead(database: Database, log: Log) -> None:
    who = log.sign_up(NOON - 3 * DAY)
    log.write(entry(NOON + 365 * DAY, "account.login", who))
    clock = Clock(NOON)
    leader(database, clock).run()
    assert active(database, NOON.date()) == (0, 1, 1)
    log.write(entry(NOON + 2 * DAY, "account.login", who))
    clock.moment = NOON + 2 * DAY
    leader(database, clock).run()
    assert active(database, clock.moment.date())[0] == 1


def test_sign_up_from_the_future_stays_where_it_was_read(database: Database, log: Log) -> None:
    log.sign_up(NOON + 365 * DAY)
    intake = Intake(database, unfenced)
    for hours in (0, 13):
        intake.run(NOON + hours * HOUR)
    with database.reading() as session:
        days = select(BusinessCohort.day).where(BusinessCohort.signed_up == 1)
        assert session.scalars(days).all() == [(NOON + DAY).date()]


def test_clock_that_is_set_back_counts_no_day_again(database: Database, log: Log) -> None:
    who = log.sign_up(NOON)
    clock = Clock(NOON + 2 * DAY)
    leader(database, clock).run()
    before = active(database, NOON.date())
    log.write(entry(NOON - HOUR, "environment.create", who))
    clock.moment = NOON - HOUR
    leader(database, clock).run()
    assert active(database, NOON.date()) == before == (1, 1, 1)
    assert sums(database) == {"signed_up": 1, "environment": 1}


def test_month_leaps_and_days_are_finished_an_hour_after(database: Database, log: Log) -> None:
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    log.sign_up(midnight - timedelta(microseconds=1))
    log.sign_up(midnight)
    clock = Clock(midnight + timedelta(minutes=59))
    leader(database, clock).run()
    last, first = date(2026, 2, 28), date(2026, 3, 1)
    with database.reading() as session:
        assert not session.get_one(BusinessDay, last).finished
    clock.moment += timedelta(minutes=1)
    leader(database, clock).run()
    with database.reading() as session:
        assert session.get_one(BusinessDay, last).finished
    assert (active(database, last), active(database, first)) == ((1, 1, 1), (1, 2, 2))


def test_agent_that_was_away_makes_up_the_days(database: Database, log: Log) -> None:
    who = log.sign_up(NOON)
    leader(database, Clock(NOON)).run()
    for days in (1, 9):
        log.write(entry(NOON + days * DAY, "account.login", who))
    leader(database, Clock(NOON + 20 * DAY)).run()
    found = [active(database, (NOON + days * DAY).date()) for days in (1, 2, 8, 9, 16, 19)]
    assert found == [(1, 1, 1), (0, 1, 1), (0, 0, 1), (1, 1, 1), (0, 0, 1), (0, 0, 1)]


def delete_account(database: Database, log: Log, who: str, at: datetime) -> None:
    log.write(entry(at, "account.delete", None, who))
    with database.writing() as session:
        session.execute(delete(User).where(User.id == who))


def kept(database: Database) -> set[str]:
    with database.reading() as session:
        return set(session.scalars(select(BusinessAccount.account_id)))


def test_deleted_account_stays_in_sums_and_is_forgotten(database: Database, log: Log) -> None:
    who, other = log.sign_up(NOON), log.sign_up(NOON)
    log.write(entry(NOON + HOUR, "environment.create", who))
    delete_account(database, log, who, NOON + 2 * HOUR)
    clock = Clock(NOON + 2 * HOUR)
    leader(database, clock).run()
    # Not of the accounts that are there at the end of the day, though it did something.
    assert active(database, NOON.date()) == (1, 1, 1)
    for hours in (3, 12, 13, 14):
        clock.moment = NOON + hours * HOUR
        leader(database, clock).run()
        assert (who in kept(database)) is (hours < 13)
    assert kept(database) == {other}
    assert sums(database) == {"signed_up": 2, "environment": 1}
    assert active(database, NOON.date()) == (1, 1, 1)


def test_account_that_goes_after_midnight_was_there_the_day_before(
    database: Database, log: Log
) -> None:
    who = log.sign_up(NOON)
    delete_account(database, log, who, NOON + 12 * HOUR + timedelta(minutes=5))
    leader(database, Clock(NOON + 14 * HOUR)).run()
    assert active(database, NOON.date()) == (1, 1, 1)
    assert active(database, (NOON + DAY).date()) == (0, 0, 0)


def test_accounts_from_before_the_log_are_of_an_unknown_way(database: Database, log: Log) -> None:
    old, silent = log.sign_up(NOON - 400 * DAY), log.sign_up(NOON - 399 * DAY)
    with database.writing() as session:
        session.execute(delete(AuditEntry))
    log.write(entry(NOON, "environment.create", old))
    log.sign_up(NOON, "invitation")
    intake = Intake(database, unfenced, batch=1)
    intake.run(NOON)
    with database.reading() as session:
        columns = BusinessCohort.day, BusinessCohort.way, BusinessCohort.environment
        found = set(session.execute(select(*columns).where(BusinessCohort.signed_up == 1)).all())
    assert found == {
        ((NOON - 400 * DAY).date(), "unknown", 1),
        ((NOON - 399 * DAY).date(), "unknown", 0),
        (NOON.date(), "invitation", 0),
    }
    assert silent in kept(database)


def test_account_that_was_taken_for_an_old_one_gets_its_way(database: Database, log: Log) -> None:
    """It signs up between the end of the log and the look for accounts that it does not name."""
    who = log.sign_up(NOON)
    with database.writing() as session:
        found = session.execute(select(AuditEntry)).scalar_one()
        late = entry(found.at, found.action, who, who, found.details)
        session.delete(found)
    intake = Intake(database, unfenced)
    intake.run(NOON)
    log.write(late)
    intake.run(NOON)
    with database.reading() as session:
        ways = dict(session.execute(select(BusinessTotal.way, BusinessTotal.signed_up)).all())
    assert ways == {"unknown": 0, "open": 1}


def test_off_keeps_nothing_and_on_again_reads_the_log(database: Database, log: Log) -> None:
    who = log.sign_up(NOON)
    log.write(entry(NOON, "environment.create", who))
    clock = Clock(NOON)
    leader(database, clock).run()
    before = sums(database), active(database, NOON.date())
    for _ in range(2):
        leader(database, clock, enabled=False).run()
        with database.reading() as session:
            rows = [session.scalar(select(func.count()).select_from(table)) for table in TABLES]
        assert rows == [0] * len(TABLES)
    leader(database, clock).run()
    assert (sums(database), active(database, NOON.date())) == before


def test_killed_in_the_middle_goes_on_where_it_was(database: Database, log: Log) -> None:
    for _ in range(5):
        log.sign_up(NOON)
    rounds = iter((False, False, True))
    Intake(database, unfenced, batch=1).run(NOON, lambda: next(rounds))
    assert sums(database) == {"signed_up": 2}
    Intake(database, unfenced, batch=2).run(NOON)
    assert sums(database) == {"signed_up": 5}


def test_entries_of_who_was_never_known_count_nobody(database: Database, log: Log) -> None:
    log.write(
        entry(NOON, "environment.start", new_id()),
        entry(NOON, "environment.expire", None, new_id()),
        entry(NOON, "account.delete", None, new_id()),
    )
    leader(database, Clock(NOON)).run()
    assert sums(database) == {}


def test_days_of_a_clock_that_was_years_ahead_are_counted_when_they_come(
    database: Database, log: Log
) -> None:
    who = log.sign_up(NOON)
    clock = Clock(NOON + 1000 * DAY)
    leader(database, clock).run()
    for days in (1, 2):
        clock.moment = NOON + days * DAY
        log.write(entry(clock.moment, "account.login", who))
        leader(database, clock).run()
        assert active(database, clock.moment.date())[0] == 1
    with database.reading() as session:
        last = select(func.max(BusinessDay.day)).where(BusinessDay.finished)
        assert session.scalar(last) == (NOON + DAY).date()


def test_synthetic_account_is_counted_nowhere(database: Database) -> None:
    log = Log(database)
    log.sign_up(NOON)
    # One whose row is there, one that is gone, and one from before the audit log.
    here = log.sign_up(NOON, "command_line")
    with database.writing() as session:
        for id in (here, "of-old"):
            old = session.get(User, id)
            if old is None:
                old = User(id=id, email="old@example.org", password_hash="", created_at=NOON)
                session.add(old)
            old.is_synthetic = True
    log.write(
        entry(NOON, "account.create", None, here, {"synthetic": True}),
        entry(NOON, "account.create", None, "gone", {"synthetic": True}),
        *(entry(NOON, step, who) for who in (here, "gone") for step in STEPS_OF_ALL),
    )
    leader(database, Clock(NOON + HOUR)).run()
    with database.reading() as session:
        totals = session.scalars(select(BusinessTotal)).all()
        assert sum(total.signed_up for total in totals) == 1
        assert sum(total.environment + total.started for total in totals) == 0
        day = session.get_one(BusinessDay, NOON.date())
        assert (day.active_1, day.active_30) == (1, 1)  # who has signed up, and nobody else
        marked = session.scalars(
            select(BusinessAccount.account_id).where(BusinessAccount.is_synthetic)
        )
        assert set(marked) == {here, "gone", "of-old"}


STEPS_OF_ALL = ("environment.create", "environment.start", "account.login")
