"""A receiver that does as it is told, and lines that are stored as intake stores them."""

from collections import Counter
from collections.abc import Callable, Sequence

from sqlalchemy import delete

from app.agent.log_intake.positions import Positions, after
from app.agent.log_shipping.outbox import Outbox
from app.agent.log_shipping.shipper import Shipper
from app.core.log_receiver import Outcome, Reply, ShippedLine
from app.domain.durable_counters import DurableCounters
from app.storage import Database, DurableCounter, LogEntry
from app.storage.fence import Fence, unfenced
from tests.agent.log_intake.support import DIRECTORY, lines, portion, store

TAKEN = Reply(Outcome.TAKEN)
AWAY = Reply(Outcome.RETRY, "ConnectionError")
ANSWER_LOST = Reply(Outcome.RETRY, "ReadTimeout", in_doubt=True)


class FakeReceiver:
    """Keeps what it takes: also what it gives no answer to."""

    def __init__(self) -> None:
        self.batches: list[list[ShippedLine]] = []
        self.replies: list[Reply] = []
        self.judge: Callable[[Sequence[ShippedLine]], Reply | None] = lambda lines: None
        self.closed = False

    def send(self, lines: Sequence[ShippedLine]) -> Reply:
        reply = self.judge(lines) or (self.replies.pop(0) if self.replies else TAKEN)
        if reply.outcome is Outcome.TAKEN or reply.in_doubt:
            self.batches.append(list(lines))
        return reply

    def close(self) -> None:
        self.closed = True

    @property
    def lines(self) -> list[ShippedLine]:
        """Everything that came, doubles too."""
        return [line for batch in self.batches for line in batch]

    def texts(self) -> list[str]:
        return [line.text for line in self.lines]

    def numbers(self, container: str = "container") -> list[int]:
        return [line.seq for line in self.lines if line.container_id == container]

    def doubles(self) -> int:
        return sum(number - 1 for number in Counter(self.lines).values())


class Writing:
    """One container of an environment that goes on writing."""

    def __init__(self, database: Database, environment: str, container: str = "container") -> None:
        self._database = database
        self._environment = environment
        self._container = container
        self._position: Positions = {}
        self._at = 1000

    def write(self, *texts: str, stream: str = "stdout") -> None:
        made = lines(*texts, stream=stream, at_ns=self._at)
        self._at += len(texts)
        store(self._database, portion(self._environment, made, self._position, self._container))
        position = dict(self._position)
        for line in made:
            position[line.stream] = after(position.get(line.stream), line.at_ns)
        self._position = position


def shipper(
    database: Database,
    receiver: FakeReceiver,
    fence: Fence = unfenced,
    *,
    with_team: bool = False,
) -> Shipper:
    """Return a shipper as a leader begins with it."""
    outbox = Outbox(database, DurableCounters(DIRECTORY), fence, with_team=with_team)
    return Shipper(outbox, receiver)


def run(shipper: Shipper) -> None:
    """Let it work now, whatever it waits for."""
    shipper._not_before = shipper._next_settling = 0.0
    shipper.run()


def counted(database: Database) -> dict[str, int]:
    """Return what became of lines."""
    with database.reading() as session:
        numbers = DurableCounters(DIRECTORY).all(session)
    family = DurableCounter.CONTAINER_LOG_LINES
    return {value: number for (name, value), number in numbers.items() if name == family}


def delete_lines(database: Database, *texts: str) -> None:
    """Delete lines as retention does."""
    with database.writing() as session:
        session.execute(delete(LogEntry).where(LogEntry.line.in_(texts)))
