"""The rows of terminals: whoever stops serving one says so, whatever the database does."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import select, update

from app.core.errors import SessionConflictError, StorageUnavailableError
from app.domain.heartbeat import Heartbeat
from app.domain.sessions.records import SessionRecords, ask_end_in
from app.storage import (
    Database,
    Environment,
    EnvironmentSession,
    EnvironmentStatus,
    SessionStatus,
    SessionType,
    Terminal,
)
from tests.support.application import User, parts


class House:
    """An environment that runs, and the records of its sessions."""

    def __init__(self, database: Database, environment: str) -> None:
        self.database, self.environment = database, environment
        self.heartbeat = Heartbeat(database)
        self.records = SessionRecords(database, self.heartbeat)
        fields = {"status": EnvironmentStatus.RUNNING, "container_id": "box"}
        with database.writing() as session:
            session.execute(update(Environment).values(**fields, volume_path="/work"))

    def add(self, kind: SessionType) -> EnvironmentSession:
        made = EnvironmentSession(
            environment_id=self.environment,
            type=kind,
            name="vibebox-00000001",
            container_id="box",
            status=SessionStatus.STARTING if kind is SessionType.SHELL else SessionStatus.ACTIVE,
        )
        with self.database.writing() as session:
            session.add(made)
            session.flush()
            session.expunge(made)
        return made

    def holders(self) -> list[str | None]:
        with self.database.reading() as session:
            return list(session.scalars(select(Terminal.held_by)))

    @contextmanager
    def down(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Let the database refuse to write."""

        def refuse() -> None:
            raise StorageUnavailableError

        with monkeypatch.context() as patched:
            patched.setattr(self.database, "writing", refuse)
            yield


@pytest.fixture
def house(app: OpenAPI, user: User) -> House:
    return House(parts(app).database, user.new_environment())


@pytest.mark.parametrize("kind", [SessionType.SHELL, SessionType.TMUX])
def test_terminal_is_taken_with_the_folder_and_closed(house: House, kind: SessionType) -> None:
    found = house.add(kind)
    claimed = house.records.claim(found)
    assert claimed.folder == "/work"
    assert house.holders() == [house.heartbeat.id]

    house.records.close(found, claimed.terminal_id)
    assert house.holders() == []
    with house.database.reading() as session:
        ended = session.get_one(EnvironmentSession, found.id).status is SessionStatus.TERMINATED
    assert ended is (kind is SessionType.SHELL)


@pytest.mark.parametrize("how", ["close", "leave"])
def test_terminal_is_left_once_the_database_answers(
    house: House, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process lives on: as its holder it would keep the agent from closing it."""
    found = house.add(SessionType.SHELL)
    claimed = house.records.claim(found)
    with house.down(monkeypatch):
        if how == "close":
            house.records.close(found, claimed.terminal_id)
        else:
            house.records.leave(found.id, claimed.terminal_id)
    assert house.holders() == [house.heartbeat.id]

    for _ in range(2):
        house.heartbeat._call_back()
    assert house.holders() == [None]
    with house.database.reading() as session:
        assert session.get_one(EnvironmentSession, found.id).held_by is None


def test_session_that_is_to_end_has_no_more_terminals(house: House) -> None:
    found = house.add(SessionType.TMUX)
    with house.database.writing() as session:
        ask_end_in(session, found.id)
    with pytest.raises(SessionConflictError, match="is being ended"):
        house.records.claim(found)
    assert house.holders() == []
