"""Sessions that somebody is at: who goes on is told, who is used is noted, in one transaction."""

from datetime import timedelta

import pytest

from app.core.errors import StorageUnavailableError
from app.domain.sessions.records import ask_end_in, end_in
from app.domain.sessions.watched import WatchedSessions
from app.storage import Database, EnvironmentSession, SessionStatus, SessionType, utc_now
from tests.storage.support import add_environment

LONG_AGO = utc_now() - timedelta(hours=1)


class House:
    """An environment with sessions."""

    def __init__(self, database: Database) -> None:
        self.database, self.sessions = database, WatchedSessions(database)
        with database.writing() as session:
            self.environment = add_environment(session).id

    def add(self) -> str:
        made = EnvironmentSession(
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

    def noted(self, id: str) -> bool:
        with self.database.reading() as session:
            return session.get_one(EnvironmentSession, id).last_active_at > LONG_AGO

    def status(self, id: str) -> SessionStatus:
        with self.database.reading() as session:
            return session.get_one(EnvironmentSession, id).status


@pytest.fixture
def house(each_database: Database) -> House:
    return House(each_database)


def test_use_is_noted_of_those_that_are_asked_for(house: House) -> None:
    used, quiet, other = house.add(), house.add(), house.add()
    assert house.sessions.look([used, quiet], {used, other, "gone"}) == {used, quiet}
    assert [house.noted(id) for id in (used, quiet, other)] == [True, False, False]
    assert house.status(used) is SessionStatus.ACTIVE
    assert house.status(quiet) is SessionStatus.IDLE


def test_session_that_has_ended_or_is_to_end_goes_on_no_more(house: House) -> None:
    living, ended, ending = house.add(), house.add(), house.add()
    with house.database.writing() as session:
        end_in(session, ended)
        ask_end_in(session, ending)
    whos = {living, ended, ending}
    assert house.sessions.look(whos, whos) == {living}
    assert not house.noted(ended) and house.status(ended) is SessionStatus.TERMINATED
    assert not house.noted(ending) and house.status(ending) is SessionStatus.IDLE


def test_nothing_is_written_where_none_is_used(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise StorageUnavailableError

    one = house.add()
    monkeypatch.setattr(house.database, "writing", refuse)
    assert house.sessions.look([one], set()) == {one}
    with pytest.raises(StorageUnavailableError):
        house.sessions.look([one], {one})
