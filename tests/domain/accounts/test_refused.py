"""Refused sign-ins are noted, and no crowd of strangers fills the audit log by them."""

import logging

import pytest
from sqlalchemy import select

from app.core.context import Context, context
from app.domain.accounts import refused
from app.domain.accounts.refused import MOST, Account, Logins
from app.storage import AuditEntry, Database
from tests.storage.conftest import database, empty_database, url
from tests.support.application import MakeApp, parts

__all__ = ["database", "empty_database", "url"]
NOBODY, ADA = Account(None, None), Account("1", "ada@example.org")


class Strangers:
    """Try passwords."""

    def __init__(self, database: Database) -> None:
        self.now = 0.0
        self._database = database
        self._logins = Logins(lambda: self.now)

    def fail(self, account: Account, address: str, times: int = 1) -> None:
        token = context.set(Context(address=address))
        for _ in range(times):
            self._logins.note(self._database, account, disabled=False)
        context.reset(token)

    def tell(self) -> None:
        self._logins.tell(self._database)

    def entries(self) -> list[tuple[str | None, str | None, int]]:
        """Whom each is about, from where, and how many it tells of; the oldest first."""
        columns = AuditEntry.target_name, AuditEntry.address, AuditEntry.details
        with self._database.reading() as session:
            found = session.execute(select(*columns).order_by(AuditEntry.id)).all()
        return [(name, address, details.get("times", 1)) for name, address, details in found]


@pytest.fixture
def strangers(database: Database) -> Strangers:
    return Strangers(database)


def test_what_one_address_may_try_is_noted_one_by_one(strangers: Strangers) -> None:
    for _ in range(3):
        strangers.fail(NOBODY, "a", MOST)
        strangers.now += 60
    assert strangers.entries() == [(None, "a", 1)] * 3 * MOST


def test_many_are_counted_by_account_and_address(
    strangers: Strangers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=refused.__name__)
    strangers.fail(NOBODY, "a", MOST + 5)
    strangers.fail(NOBODY, "b", 7)
    strangers.fail(ADA, "b", 3)
    # Somebody is tried for the first time: that is not lost among the others.
    expected = [(None, "a", 1)] * MOST + [(ADA.email, "b", 1)]
    assert strangers.entries() == expected
    strangers.now += 60
    strangers.fail(NOBODY, "c")
    counted = [(None, "a", 5), (None, "b", 7), (ADA.email, "b", 2)]
    assert strangers.entries() == [*expected, *counted, (None, "c", 1)]
    (said,) = caplog.records
    assert (said.message, vars(said)["more"]) == ("refused sign-ins were many", 14)


def test_what_was_counted_is_told_where_nobody_tries_any_more(strangers: Strangers) -> None:
    strangers.fail(NOBODY, "a", MOST + 5)
    strangers.tell()
    assert len(strangers.entries()) == MOST
    strangers.now += 60
    for _ in range(2):
        strangers.tell()
    assert strangers.entries()[MOST:] == [(None, "a", 5)]


def test_database_that_is_away_refuses_as_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=refused.__name__)
    away = Strangers(Database("postgresql://nobody@127.0.0.1:1/none"))
    away.fail(NOBODY, "a", MOST + 1)
    away.now += 60
    away.tell()
    assert [one.message for one in caplog.records].count("refusal not noted") == MOST + 1


def test_what_was_counted_is_told_by_a_process_that_ends(make_app: MakeApp) -> None:
    components = parts(make_app())
    logins = components.accounts._refused
    for _ in range(MOST + 5):
        logins.note(components.database, NOBODY, disabled=False)
    assert components.accounts.tell_refused in components.heartbeat.on_seen
    components.close()
    with components.database.reading() as session:
        told = session.scalars(select(AuditEntry.details)).all()
    assert sum(details.get("times", 1) for details in told) == MOST + 5


def test_crowd_of_addresses_takes_no_more_room(strangers: Strangers) -> None:
    for number in range(10 * MOST):
        strangers.fail(NOBODY, str(number))
    strangers.now += 60
    strangers.fail(ADA, "a")
    found = strangers.entries()
    assert len(found) == MOST + MOST + 1 + 1
    assert sum(times for *_, times in found) == 10 * MOST + 1
    assert (None, None, 8 * MOST) in found
