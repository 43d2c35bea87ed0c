"""Batches: everything in one transaction, and once."""

import time

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.agent.log_intake.batches import Batches, FencedError
from app.core import signals
from app.core.errors import StorageUnavailableError
from app.domain.durable_counters import DurableCounters
from app.storage import Database, DurableCounter, Environment
from app.storage.fence import unfenced
from tests.agent.log_intake.support import (
    DIRECTORY,
    AnswerLost,
    assert_usage_is_exact,
    counted,
    cursors,
    lines,
    portion,
    store,
    stored,
)

COUNTER = DurableCounter.LOG_ENTRIES


def batches(database: Database) -> Batches:
    return Batches(database, DurableCounters(DIRECTORY), unfenced)


def test_lines_cursors_usage_and_counts_move_together(database: Database, environment: str) -> None:
    first = portion(environment, lines("a", "b") + lines("x", stream="stderr"))
    told: list[tuple[str, str, int]] = []

    def listen(_sender: object, *, counter: str, value: str, amount: int) -> None:
        told.append((counter, value, amount))

    with signals.counted.connected_to(listen):
        store(database, first, portion(environment, lines("other"), container="second"))
        store(database, portion(environment, lines("c", at_ns=1001), first.after))

    assert stored(database) == ["a", "b", "x", "other", "c"]
    assert batches(database).positions("container") == {"stdout": (1001, 2), "stderr": (1000, 1)}
    assert counted(database) == {"stdout": 4, "stderr": 1}
    assert told == [
        (COUNTER, "stderr", 1),
        (COUNTER, "stdout", 3),
        (COUNTER, "stdout", 1),
    ]
    assert_usage_is_exact(database)


def test_batch_sent_again_is_stored_once_and_told_once(
    database: Database, environment: str
) -> None:
    sent = portion(environment, lines("a", "b"))
    told: list[int] = []

    def listen(_sender: object, *, amount: int, **_others: str) -> None:
        told.append(amount)

    with signals.counted.connected_to(listen):
        with pytest.raises(StorageUnavailableError):
            Batches(AnswerLost(database), DurableCounters(DIRECTORY), unfenced).store([sent])
        assert told == []
        outcome = batches(database).store([sent])

    assert (outcome.stored, outcome.refused) == ([sent], [])
    assert stored(database) == ["a", "b"]
    assert counted(database) == {"stdout": 2}
    assert told == [2]


def test_cursor_that_others_moved_refuses_the_portion_alone(
    database: Database, environment: str
) -> None:
    store(database, portion(environment, lines("a", "b")))
    stale = portion(environment, lines("a"))
    good = portion(environment, lines("fine"), container="second")

    outcome = batches(database).store([stale, good])

    assert (outcome.stored, outcome.refused) == ([good], [stale])
    assert stored(database) == ["a", "b", "fine"]


def test_deleted_environment_takes_no_lines(database: Database, environment: str) -> None:
    first = portion(environment, lines("a"))
    store(database, first)
    with database.writing() as session:
        session.execute(delete(Environment))

    for late in (portion(environment, lines("b"), first.after), portion(environment, lines("b"))):
        assert batches(database).store([late]).refused == [late]

    assert stored(database) == []
    assert cursors(database) == {}
    assert counted(database) == {"stdout": 1}


def test_fence_that_refuses_leaves_nothing(database: Database, environment: str) -> None:
    def lost(_session: Session) -> None:
        raise RuntimeError("somebody else leads")

    with pytest.raises(FencedError):
        Batches(database, DurableCounters(DIRECTORY), lost).store(
            [portion(environment, lines("a"))]
        )

    assert (stored(database), cursors(database), counted(database)) == ([], {}, {})


def test_fence_that_cannot_tell_is_no_refusal(database: Database, environment: str) -> None:
    def unknown(_session: Session) -> None:
        raise StorageUnavailableError

    with pytest.raises(StorageUnavailableError):
        Batches(database, DurableCounters(DIRECTORY), unknown).store(
            [portion(environment, lines("a"))]
        )


def test_metric_is_left_to_the_next_leader_who_may_have_begun(
    database: Database, environment: str
) -> None:
    told: list[object] = []

    def listen(_sender: object, **arguments: object) -> None:
        told.append(arguments)

    uncertain = Batches(database, DurableCounters(DIRECTORY), unfenced, lambda: False)
    with signals.counted.connected_to(listen), pytest.raises(FencedError):
        uncertain.store([portion(environment, lines("a"))])

    assert (stored(database), counted(database), told) == (["a"], {"stdout": 1}, [])


def test_rate_of_storing(database: Database, environment: str) -> None:
    """Measured for the log; asserted are only the lines, since the machine may be busy."""
    positions: dict[str, tuple[int, int]] = {}
    begun = time.monotonic()
    for batch in range(5):
        sent = portion(
            environment,
            lines(*(f"line {number} of some length" for number in range(2000)), at_ns=batch * 2000),
            positions,  # type: ignore[arg-type]
        )
        store(database, sent)
        positions = dict(sent.after)
    seconds = time.monotonic() - begun
    print(f"{database.engine.dialect.name}: {10_000 / seconds:.0f} lines/s")
    assert len(stored(database)) == 10_000
    assert counted(database) == {"stdout": 10_000}
