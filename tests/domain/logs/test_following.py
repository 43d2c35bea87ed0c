"""Whoever goes on from a line gets each that is behind it, in order, and of that log alone."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from app.core.errors import EnvironmentNotFoundError, PermissionDeniedError
from app.domain.authorization import Identity
from app.domain.logs.following import FollowedLogs
from app.storage import Database, LogEntry, LogStream, Project
from tests.storage.support import add_environment


class Log:
    """The log of an environment of an account of its own."""

    def __init__(self, database: Database, email: str) -> None:
        self._database = database
        self.ids: list[int] = []
        with database.writing() as session:
            made = add_environment(session, email)
            owner = session.get_one(Project, made.project_id).owner_user_id
            assert owner is not None
            self.environment, self.identity = made.id, Identity(owner, email)

    def grow(self, *lines: str) -> None:
        for line in lines:
            fields = {"at_ns": 1, "stream": LogStream.STDOUT, "line": line, "size": 1}
            entry = LogEntry(environment_id=self.environment, **fields)
            with self._database.writing() as session:
                session.add(entry)
            self.ids.append(entry.id)


@pytest.fixture
def log(each_database: Database) -> Log:
    """A log between whose lines are those of another."""
    log, other = Log(each_database, "ada@example.org"), Log(each_database, "eve@example.org")
    for line in "abcd":
        other.grow("x")
        log.grow(line)
    other.grow("x")
    return log


@pytest.fixture
def logs(each_database: Database) -> FollowedLogs:
    return FollowedLogs(each_database)


def text(entries: Sequence[LogEntry]) -> str:
    """Return the lines, which stay readable after the transaction."""
    return "".join(entry.line for entry in entries)


def test_last_lines_oldest_first(log: Log, logs: FollowedLogs) -> None:
    assert text(logs.last(log.identity, log.environment, limit=3)) == "bcd"
    assert text(logs.last(log.identity, log.environment, limit=9)) == "abcd"


def test_lines_behind_an_id(log: Log, logs: FollowedLogs) -> None:
    for after, limit, lines in (
        (0, 9, "abcd"),
        (log.ids[0], 2, "bc"),
        (log.ids[0] + 1, 9, "bcd"),  # of the other log
        (log.ids[3], 9, ""),
    ):
        assert text(logs.behind(log.identity, log.environment, after, limit=limit)) == lines
        assert text(logs.look(log.environment, after, limit=limit)) == lines


def test_last_id(each_database: Database, log: Log, logs: FollowedLogs) -> None:
    assert logs.last_id(log.environment) == log.ids[-1]
    assert logs.last_id(Log(each_database, "new@example.org").environment) == 0


def test_who_may_not_see_the_log_is_refused(log: Log, logs: FollowedLogs) -> None:
    stranger = Identity("stranger", "mallory@example.org")
    without = replace(log.identity, scopes=frozenset())
    for identity, error in ((stranger, EnvironmentNotFoundError), (without, PermissionDeniedError)):
        with pytest.raises(error):
            logs.last(identity, log.environment, limit=1)
        with pytest.raises(error):
            logs.behind(identity, log.environment, 0, limit=1)
