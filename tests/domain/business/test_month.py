"""A month in the life of a VibeBox: what is counted equals what its audit log says."""

from datetime import timedelta
from random import Random

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import select

from app.domain.authorization import Identity
from app.domain.business.journey import SUMS
from app.storage import BusinessAccount
from app.storage import User as Account
from tests.domain.business.month import BEGIN, DAYS, script
from tests.domain.business.reckoning import Reckoning
from tests.domain.business.support import Clock, People, leader
from tests.sizes import size
from tests.support.application import MakeApp, parts
from tests.support.fakes import FakeEngine

PEOPLE = size(40, 200)
OPERATOR = Identity("op", "op@example.org", is_operator=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def app(request: pytest.FixtureRequest, make_app: MakeApp) -> OpenAPI:
    if request.param == "sqlite":
        return make_app()
    return make_app(database_url=request.getfixturevalue("migrated_postgresql"))


def play(app: OpenAPI, engine: FakeEngine, random: Random) -> Clock:
    """Play the month and two weeks more; the leader looks now and then, and often is another."""
    clock = Clock(BEGIN)
    database = parts(app).database
    leading = leader(database, clock)
    with clock.of_the_log():
        people = People(app, app.test_client(), engine)
        for deed in script(random, PEOPLE):
            clock.moment = deed.at
            people.do(deed.who, deed.what)
            if random.random() < 0.1:
                if random.random() < 0.3:
                    leading = leader(database, clock)
                leading.run()
    clock.moment = BEGIN + timedelta(days=DAYS + 1, hours=2)
    leading.run()
    return clock


def test_numbers_equal_the_audit_log(app: OpenAPI, engine: FakeEngine) -> None:
    clock = play(app, engine, Random(PEOPLE))
    database = parts(app).database
    truth = Reckoning(database)
    # The month has what it is to have.
    assert len(truth.born) == PEOPLE + 1
    assert len(truth.died) > PEOPLE / 20
    until = clock.moment.date()
    report = parts(app).business.report(OPERATOR, BEGIN.date(), until)

    counted = {(one.day, one.way): dict(one.sums) for one in report.cohorts}
    expected = truth.cohorts()
    assert counted == {key: {name: sums[name] for name in SUMS} for key, sums in expected.items()}
    assert [name for name in SUMS if not report.sums[name]] == []
    finished = [day for day in report.days if day.finished]
    assert [day.day for day in finished] == [
        BEGIN.date() + timedelta(number) for number in range(DAYS + 1)
    ]
    for day in finished:
        active = {days: getattr(day, f"active_{days}") for days in (1, 7, 30)}
        assert active == {days: truth.active(day.day, days) for days in active}, day.day
        assert (day.second_week_over, day.returned) == truth.second_week(day.day)
    # Nothing is kept of who is gone.
    with database.reading() as session:
        kept = set(session.scalars(select(BusinessAccount.account_id)))
        assert kept == set(session.scalars(select(Account.id)))
