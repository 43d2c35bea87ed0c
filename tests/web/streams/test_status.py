"""What is told of environments: each as it is at first, and then what has changed or is gone."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import delete, update

from app.domain.authorization import Identity
from app.domain.environments.statuses import StatusRecords
from app.storage import Database, Environment, EnvironmentStatus, Project, utc_now
from app.web.streams.status import StatusStream
from app.web.websockets.channel import Channel
from app.web.websockets.polling_hub import PollingHub
from app.web.websockets.sockets import Opening
from app.web.websockets.wakeup import Wakeup
from tests.storage.support import add_environment
from tests.web.websockets.support import Peer

MOMENT = utc_now()


class House:
    """An account with an environment, and the stream that tells of it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.stream = StatusStream(StatusRecords(database), PollingHub(0.02))
        with database.writing() as session:
            made = add_environment(session)
            made.status_changed_at = MOMENT
            owner = session.get_one(Project, made.project_id).owner_user_id
        assert owner is not None
        self.environment, self.identity = made.id, Identity(owner, "ada@example.org")

    def fail(self) -> None:
        with self.database.writing() as session:
            session.execute(
                update(Environment).values(status=EnvironmentStatus.ERROR, error="no image")
            )


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


@contextmanager
def told(opening: Opening) -> Iterator[Callable[[int], list[dict[str, Any]]]]:
    """Yield what waits for so many messages, and returns all that have come."""
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(Wakeup()) as shutdown_signal:
        peer = Peer(theirs)

        def messages(number: int) -> list[dict[str, Any]]:
            peer.read(lambda: len(peer.messages()) >= number)
            return [json.loads(message) for message in peer.messages()]

        thread = threading.Thread(target=opening.handler, args=(Channel(ours, shutdown_signal),))
        thread.start()
        try:
            yield messages
        finally:
            shutdown_signal.set()
            thread.join(10)
            assert not thread.is_alive()


def test_one_environment(house: House) -> None:
    at = MOMENT.isoformat()
    with told(house.stream.open(house.identity, house.environment)) as messages:
        assert messages(1) == [{"status": "stopped", "error": None, "at": at}]
        house.fail()
        assert messages(2)[1:] == [{"status": "error", "error": "no image", "at": at}]


def test_all_environments(house: House) -> None:
    id, at = house.environment, MOMENT.isoformat()
    with told(house.stream.open_all(house.identity)) as messages:
        assert messages(1) == [{"id": id, "status": "stopped", "error": None, "at": at}]
        house.fail()
        assert messages(2)[1:] == [{"id": id, "status": "error", "error": "no image", "at": at}]
        with house.database.writing() as session:
            session.execute(delete(Environment))
        assert messages(3)[2:] == [{"id": id, "status": None, "error": None, "at": None}]
