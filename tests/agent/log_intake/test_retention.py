"""Logs that are too old or too many go, and what is used stays exact."""

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.agent.log_intake import retention
from app.agent.log_intake.lines import OVERHEAD, Line, line_of
from app.agent.log_intake.retention import LogRetention
from app.storage import Database, Environment, LogEntry, LogUsage, utc_now
from app.storage.cautious_clock import CautiousClock
from tests.agent.log_intake.support import (
    assert_usage_is_exact,
    cursors,
    lines,
    portion,
    store,
    stored,
)

MIB = 1024 * 1024
DAY_NS = 86_400 * 1_000_000_000


def aged(days: float, *texts: str) -> list[Line]:
    return lines(*texts, at_ns=int(utc_now().timestamp() * 1_000_000_000 - days * DAY_NS))


def second_environment(session: Session, first: str) -> str:
    project = session.get_one(Environment, first).project_id
    made = Environment(project_id=project, name="second", image="x", cpu_limit=1, memory_limit_mb=9)
    session.add(made)
    session.flush()
    return made.id


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BATCH", 3)


def test_old_lines_go_and_usage_follows(database: Database, environment: str) -> None:
    with database.writing() as session:
        other = second_environment(session, environment)
    store(
        database,
        portion(environment, [*aged(8, *"abcdefg"), *aged(6, "h")]),
        portion(other, [*aged(7.5, "old"), *aged(1, "new")], container="second"),
    )
    task = LogRetention(database, CautiousClock(database), days=7, limit_mb=1)

    assert task.run() == 8
    assert stored(database) == ["h", "new"]
    assert_usage_is_exact(database)
    assert task.run() == 0


def test_everything_may_go(database: Database, environment: str) -> None:
    store(database, portion(environment, aged(8, "a", "b")))
    LogRetention(database, CautiousClock(database), days=7, limit_mb=1).run()
    assert stored(database) == []
    assert_usage_is_exact(database)


def test_ids_are_never_given_twice(database: Database, environment: str) -> None:
    """A reader that waits behind the last line must see the next one."""
    first = portion(environment, aged(8, "a", "b"))
    store(database, first)
    LogRetention(database, CautiousClock(database), days=7, limit_mb=1).run()
    store(database, portion(environment, aged(1, "c"), first.after))
    with database.reading() as session:
        assert session.scalars(select(LogEntry.id)).all() == [3]


def test_oldest_beyond_the_limit_go_in_that_environment_only(
    database: Database, environment: str
) -> None:
    with database.writing() as session:
        other = second_environment(session, environment)
    room = 20
    size = MIB // room
    large = [line_of("stdout", 10**18 * 3 + n, b"x" * (size - OVERHEAD)) for n in range(25)]
    marked = [line._replace(text=f"{number}") for number, line in enumerate(large)]
    store(database, portion(environment, marked), portion(other, marked[:5], container="second"))
    task = LogRetention(database, CautiousClock(database), days=100_000, limit_mb=1)

    assert task.run() == 25 - room
    with database.reading() as session:
        used = session.get_one(LogUsage, environment).bytes
    assert MIB - size < used <= MIB
    assert sorted(stored(database), key=int) == sorted(
        [str(number) for number in [*range(5, 25), *range(5)]], key=int
    )
    assert_usage_is_exact(database)
    assert task.run() == 0


def test_it_ends_early_when_told_to(database: Database, environment: str) -> None:
    store(database, portion(environment, aged(8, *"abcdefg")))
    asked: list[int] = []

    def stopping() -> bool:
        asked.append(1)
        return len(asked) > 1

    assert LogRetention(database, CautiousClock(database), days=7, limit_mb=1).run(stopping) == 3
    assert_usage_is_exact(database)


def test_cursor_goes_only_with_a_container_that_was_replaced(
    database: Database, environment: str
) -> None:
    store(database, portion(environment, aged(8, "a")))
    task = LogRetention(database, CautiousClock(database), days=7, limit_mb=1)
    for current, kept in ((None, 1), ("container", 1), ("its-successor", 0)):
        with database.writing() as session:
            session.execute(update(Environment).values(container_id=current))
        task.run()
        assert len(cursors(database)) == kept
