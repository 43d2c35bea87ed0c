"""One look for all terminals of a process: who goes on, who does not, and what is noted."""

from datetime import timedelta

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import update

from app.core.errors import SessionConflictError, StorageUnavailableError
from app.domain.sessions.watched import WatchedSessions
from app.storage import (
    Database,
    EnvironmentSession,
    SessionStatus,
    SessionType,
    new_id,
    utc_now,
)
from app.web.streams.session_looks import SECONDS, SessionLooks
from tests.support.application import User, parts

LONG_AGO = utc_now() - timedelta(hours=1)


class House:
    """An environment with sessions, and a clock that the test moves."""

    def __init__(self, database: Database, user: User) -> None:
        self.database = database
        self.environment = user.new_environment()
        self.now = 100.0
        self.looks = SessionLooks(WatchedSessions(database), lambda: self.now)

    def add(self) -> str:
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
        return made.id

    def look(self, *whos: str) -> dict[str, type[Exception]]:
        self.now += SECONDS
        return {who: type(error) for who, error in self.looks.look(whos).refused.items()}

    def active(self, who: str) -> bool:
        with self.database.reading() as session:
            found = session.get(EnvironmentSession, who)
            assert found is not None
            fresh = found.last_active_at > LONG_AGO
            assert fresh is (found.status is SessionStatus.ACTIVE)
            return fresh

    def end(self, who: str) -> None:
        with self.database.writing() as session:
            session.execute(
                update(EnvironmentSession)
                .where(EnvironmentSession.id == who)
                .values(status=SessionStatus.TERMINATED, ended_at=utc_now())
            )


@pytest.fixture
def house(app: OpenAPI, user: User) -> House:
    return House(parts(app).database, user)


def test_only_what_is_used_is_noted(house: House) -> None:
    used, quiet = house.add(), house.add()
    house.looks.note_use(used)
    assert house.look(used, quiet) == {}
    assert house.active(used) and not house.active(quiet)


def test_it_is_looked_now_and_then(house: House) -> None:
    who = house.add()
    assert house.look(who) == {}
    house.looks.note_use(who)
    house.now += SECONDS / 2
    house.looks.look([who])
    assert not house.active(who)
    house.look(who)
    assert house.active(who)


def test_end_of_a_session_is_told_to_its_users_only(house: House) -> None:
    ended, going_on = house.add(), house.add()
    house.end(ended)
    house.looks.note_use(ended)
    assert house.look(ended, going_on) == {ended: SessionConflictError}


def test_use_is_noted_though_a_look_failed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    used = house.add()
    house.looks.note_use(used)
    with monkeypatch.context() as broken:
        broken.setattr(type(house.database), "writing", _down)
        for _ in range(2):  # it is tried again at once, and not only after the usual time
            with pytest.raises(StorageUnavailableError):
                house.looks.look([used])
            house.now += SECONDS
    assert house.looks.look([used]).refused == {}
    assert house.active(used)


def _down(_database: Database) -> None:
    raise StorageUnavailableError
