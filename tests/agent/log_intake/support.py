"""What the tests of logs share: stored lines as plain values, and an engine with a container."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.agent.log_intake.batches import Batches, Portion
from app.agent.log_intake.lines import Line, line_of
from app.agent.log_intake.positions import Position, Positions, after
from app.core.errors import StorageUnavailableError
from app.domain.durable_counters import DurableCounters
from app.engine import ContainerSpec, LogLine
from app.storage import Database, DurableCounter, LogCursor, LogEntry, LogUsage
from app.storage.fence import unfenced
from tests.support.fakes import IMAGE, FakeEngine

COUNTER = DurableCounter.LOG_ENTRIES

DIRECTORY = "directory"


class AnswerLost(Database):
    """A database whose commits are made and not answered, while `losing`."""

    def __init__(self, database: Database) -> None:
        self._actual = database
        self.losing = True

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self._actual.reading() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        with self._actual.writing() as session:
            yield session
        if self.losing:
            raise StorageUnavailableError


def lines(*texts: str, stream: str = "stdout", at_ns: int = 1000) -> list[Line]:
    """Return lines a nanosecond apart."""
    return [line_of(stream, at_ns + index, text.encode()) for index, text in enumerate(texts)]


def portion(
    environment: str,
    some: Iterable[Line],
    before: Positions | None = None,
    container: str = "container",
) -> Portion:
    """Return the lines as a portion that begins at `before`."""
    taken = list(some)
    positions = dict(before or {})
    for line in taken:
        positions[line.stream] = after(positions.get(line.stream), line.at_ns)
    return Portion(environment, container, taken, dict(before or {}), positions)


def store(database: Database, *portions: Portion) -> None:
    """Store the portions as the intake does."""
    outcome = Batches(database, DurableCounters(DIRECTORY), unfenced).store(portions)
    assert outcome.refused == []


def stored(database: Database, stream: str | None = None) -> list[str]:
    """Return what is stored, in its order."""
    query = select(LogEntry.line).order_by(LogEntry.id)
    if stream is not None:
        query = query.filter_by(stream=stream)
    with database.reading() as session:
        return list(session.scalars(query))


def cursors(database: Database) -> dict[str, Position]:
    """Return the cursors of the only container."""
    with database.reading() as session:
        return {
            cursor.stream.value: Position(cursor.at_ns, cursor.taken)
            for cursor in session.scalars(select(LogCursor))
        }


def counted(database: Database, directory: str = DIRECTORY) -> dict[str, int]:
    """Return the numbers of the table of counts, by stream."""
    with database.reading() as session:
        everything = DurableCounters(directory).all(session)
    return {value: count for (family, value), count in everything.items() if family == COUNTER}


def assert_usage_is_exact(database: Database) -> None:
    """Compare what is said to be used with the lines there are."""
    sizes: dict[str, int] = {}
    with database.reading() as session:
        for environment, size in session.execute(select(LogEntry.environment_id, LogEntry.size)):
            sizes[environment] = sizes.get(environment, 0) + size
        usage = {row.environment_id: row.bytes for row in session.scalars(select(LogUsage))}
    assert {key: value for key, value in usage.items() if value} == sizes


def record(text: bytes, at_ns: int, *, stream: str = "stdout", partial: bool = False) -> LogLine:
    """Return a record of Docker's."""
    return LogLine("stderr" if stream == "stderr" else "stdout", at_ns, text, partial)


def running_container(engine: FakeEngine, environment: str) -> str:
    """Make a container that runs, and return its id."""
    spec = ContainerSpec(environment, f"vibebox-{environment}", IMAGE, {}, [], 1, 64)
    container = engine.create(spec)
    engine.start(container)
    engine.log_lines[container] = []
    return container
