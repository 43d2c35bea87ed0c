"""One look for all terminals of a process: who goes on, who does not, and what is noted."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import update

from app.authorization import Identity
from app.errors import SessionConflictError, SessionNotFoundError
from app.sessions.looks import SECONDS, SessionLooks
from app.sessions.looks import User as Who
from app.storage import (
    Database,
    EnvironmentSession,
    SessionStatus,
    SessionType,
    new_id,
    utc_now,
)
from tests.unit.application import User, parts

LONG_AGO = utc_now() - timedelta(hours=1)


class House:
    """An environment with sessions, and a clock that the test moves."""

    def __init__(self, database: Database, user: User) -> None:
        self.database = database
        self.environment = user.new_environment()
        self.identity = Identity(user.id, "ada@example.org")
        self.now = 100.0
        self.looks = SessionLooks(database, lambda: self.now)

    def add(self) -> Who:
        made = EnvironmentSession(
            id=new_id(),
            environment_id=self.environment,
            type=SessionType.TMUX,
            status=SessionStatus.IDLE,
            container_id="box",
            name="vibebox-1",
            last_active_at=LONG_AGO,
        )
        with self.database.writing() as session:
            session.add(made)
        return Who(self.identity, made.id, self.environment)

    def look(self, *whos: Who) -> dict[Who, type[Exception]]:
        self.now += SECONDS
        return {who: type(error) for who, error in self.looks.look(whos).refused.items()}

    def active(self, who: Who) -> bool:
        with self.database.reading() as session:
            found = session.get(EnvironmentSession, who.session_id)
            assert found is not None
            fresh = found.last_active_at > LONG_AGO
            assert fresh is (found.status is SessionStatus.ACTIVE)
            return fresh

    def end(self, who: Who) -> None:
        with self.database.writing() as session:
            session.execute(
                update(EnvironmentSession)
                .where(EnvironmentSession.id == who.session_id)
                .values(status=SessionStatus.TERMINATED, ended_at=utc_now())
            )


@pytest.fixture
def house(app: OpenAPI, user: User) -> House:
    return House(parts(app).database, user)


def test_only_what_is_used_is_noted(house: House) -> None:
    used, quiet = house.add(), house.add()
    house.looks.note_use(used.session_id)
    assert house.look(used, quiet) == {}
    assert house.active(used) and not house.active(quiet)


def test_it_is_looked_now_and_then(house: House) -> None:
    who = house.add()
    assert house.look(who) == {}
    house.looks.note_use(who.session_id)
    house.now += SECONDS / 2
    house.looks.look([who])
    assert not house.active(who)
    house.look(who)
    assert house.active(who)


def test_end_of_a_session_is_told_to_its_users_only(house: House) -> None:
    ended, going_on = house.add(), house.add()
    house.end(ended)
    house.looks.note_use(ended.session_id)
    assert house.look(ended, going_on) == {ended: SessionConflictError}


def test_who_lost_the_right_notes_nothing(house: House, make_user: Callable[..., User]) -> None:
    mine = house.add()
    stranger = mine._replace(identity=Identity("eve", "eve@example.org"))
    house.looks.note_use(mine.session_id)
    assert house.look(stranger) == {stranger: SessionNotFoundError}
    assert not house.active(mine)
