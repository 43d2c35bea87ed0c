"""Each viewer gets each line once and in order, however he comes, and however slow he is."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from app.core.errors import EnvironmentNotFoundError
from app.domain.authorization import Access, Action, Identity
from app.domain.logs.cursors import Order, encode
from app.domain.logs.following import FollowedLogs
from app.storage import Database, LogEntry, Project
from app.storage import Environment as EnvironmentRow
from app.storage import LogStream as LogKind
from app.web.streams import log_tail as module
from app.web.streams.log_tail import BATCH, Recent
from app.web.streams.logs import LogStream
from app.web.websockets.channel import Channel
from app.web.websockets.polling_hub import PollingHub
from app.web.websockets.wakeup import Wakeup

# Fixtures: a database of each kind, with an environment in it.
from tests.agent.log_intake.conftest import database as database
from tests.agent.log_intake.conftest import environment as environment
from tests.agent.log_intake.support import lines, portion, store
from tests.backends.programs import wait_until
from tests.web.websockets.support import Peer

MORE = 3 * BATCH + 50


@pytest.fixture
def identity(database: Database, environment: str) -> Identity:
    """Whoever owns the environment."""
    with database.reading() as session:
        row = session.get(EnvironmentRow, environment)
        assert row is not None
        project = session.get(Project, row.project_id)
        assert project is not None and project.owner_user_id is not None
        return Identity(project.owner_user_id, "ada@example.org")


@pytest.fixture
def stream(database: Database) -> LogStream:
    return LogStream(FollowedLogs(database), PollingHub(0.02))


class Log:
    """Stores lines 1, 2, 3 …"""

    def __init__(self, database: Database, environment: str) -> None:
        self._database = database
        self._environment = environment
        self.number = 0

    def grow(self, number: int) -> None:
        texts = [str(self.number + 1 + index) for index in range(number)]
        self.number += number
        store(
            self._database,
            portion(self._environment, lines(*texts, at_ns=1000 + self.number), None, texts[0]),
        )


@pytest.fixture
def log(database: Database, environment: str) -> Log:
    return Log(database, environment)


@contextmanager
def viewer(
    stream: LogStream, identity: Identity, environment: str, cursor: str | None = None
) -> Iterator[Peer]:
    """Show the log to a peer, in a thread as a worker would."""
    ours, theirs = socket.socketpair()
    handler = stream.open(identity, environment, cursor).handler
    with ours, theirs, closing(Wakeup()) as shutdown_signal:
        thread = threading.Thread(target=handler, args=(Channel(ours, shutdown_signal),))
        thread.start()
        try:
            yield Peer(theirs)
        finally:
            shutdown_signal.set()
            thread.join(10)
            assert not thread.is_alive()


def seen(peer: Peer, number: int) -> list[str]:
    """Read until so many lines have come, and return them."""
    peer.read(lambda: len(peer.messages()) >= number)
    return [json.loads(message)["line"] for message in peer.messages()]


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


def test_history_then_what_comes(
    stream: LogStream, identity: Identity, environment: str, log: Log
) -> None:
    log.grow(130)
    with viewer(stream, identity, environment) as one, viewer(stream, identity, environment) as two:
        assert seen(one, 100) == numbers(31, 130)
        log.grow(MORE)
        for peer in (one, two):
            assert seen(peer, 100 + MORE) == numbers(31, 130 + MORE)
        log.grow(2)
        assert one.messages()[:-1] == two.messages()[:-1]
        assert seen(two, 102 + MORE)[-2:] == numbers(131 + MORE, 132 + MORE)


def test_cursor_leads_on_from_its_line(
    stream: LogStream, identity: Identity, environment: str, log: Log
) -> None:
    log.grow(MORE)
    with viewer(stream, identity, environment) as one:
        seen(one, 100)
        cursor = json.loads(one.messages()[0])["cursor"]
        with viewer(stream, identity, environment, cursor) as again:
            assert seen(again, 99) == numbers(MORE - 98, MORE)
    log.grow(BATCH * 2)
    with viewer(stream, identity, environment, cursor) as late:
        log.grow(1)
        wanted = 100 + BATCH * 2
        assert seen(late, wanted) == numbers(MORE - 98, MORE + BATCH * 2 + 1)


def test_slow_viewer_misses_nothing_and_holds_up_nobody(
    stream: LogStream,
    identity: Identity,
    environment: str,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_LINES", 20)
    monkeypatch.setattr("app.web.websockets.channel.ENOUGH_PENDING", 1000)
    with (
        viewer(stream, identity, environment) as slow,
        viewer(stream, identity, environment) as quick,
    ):
        for _ in range(6):
            log.grow(BATCH)
            assert seen(quick, log.number) == numbers(1, log.number)
        assert slow.messages() == []
        assert seen(slow, log.number) == numbers(1, log.number)


def test_what_it_needs_is_said(
    stream: LogStream, identity: Identity, environment: str, log: Log
) -> None:
    with pytest.raises(EnvironmentNotFoundError):
        stream.open(Identity("stranger", "eve@example.org"), environment, None)
    opened = stream.open(identity, environment, None)
    assert opened.access == Access(identity, Action.ENVIRONMENT_READ, environment)


def test_end_is_heard_while_there_is_more_to_read(
    stream: LogStream, identity: Identity, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads as fast as a container writes never waits: the talk itself has to listen."""

    def read(_self: LogStream, _identity: Identity, _id: str, after: int) -> list[LogEntry]:
        return [
            LogEntry(id=after + 1 + index, at_ns=1, stream=LogKind.STDOUT, line="x")
            for index in range(BATCH)
        ]

    monkeypatch.setattr(LogStream, "_read", read)
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(Wakeup()) as shutdown_signal:
        handler = stream.open(identity, environment, encode(Order.ASC, 1)).handler
        peer, channel = Peer(theirs), Channel(ours, shutdown_signal)
        reader = threading.Thread(target=peer.read, args=(lambda: peer.close is not None,))

        def write() -> None:
            handler(channel)
            channel.finish()

        writer = threading.Thread(target=write)
        for thread in (reader, writer):
            thread.start()
        wait_until(lambda: len(peer.frames) > 3 * BATCH, 10)
        shutdown_signal.set()
        for thread in (writer, reader):
            thread.join(10)
            assert not thread.is_alive()
    assert peer.close is not None and peer.close[0] == 1001


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LINES", 3)
    monkeypatch.setattr(module, "MOST_CHARACTERS", 10)
    kept = Recent(7)
    assert kept.followed_by([]) is kept
    kept = kept.followed_by([(8, "x"), (9, "x")])
    assert (kept.begins_after, kept.ends_at) == (7, 9)
    kept = kept.followed_by([(12, "x"), (13, "x")])
    assert (kept.begins_after, len(kept.lines)) == (8, 3)
    kept = kept.followed_by([(14, "x" * 9)])
    assert kept == kept and kept.lines == ((13, "x"), (14, "x" * 9))
    kept = kept.followed_by([(15, "x" * 99)])
    assert (kept.begins_after, kept.lines) == (14, ((15, "x" * 99),))
