"""Whatever happens in whatever order, the receiver's numbers and our counts agree."""

import random
from collections.abc import Sequence

import pytest
from sqlalchemy import delete, select

from app.core.log_receiver import Outcome, Reply, ShippedLine
from app.storage import Database, LogEntry
from tests.agent.log_shipping.support import (
    ANSWER_LOST,
    AWAY,
    TAKEN,
    FakeReceiver,
    Writing,
    counted,
    run,
    shipper,
)
from tests.sizes import size


class _Killed(BaseException):
    pass


class _Fitful(FakeReceiver):
    """Takes, is away, loses answers; its client is killed once it has taken something."""

    def send(self, lines: Sequence[ShippedLine]) -> Reply:
        match random.randrange(8):
            case 0:
                return AWAY
            case 1:
                self.batches.append(list(lines))
                return ANSWER_LOST
            case 2:
                self.batches.append(list(lines))
                raise _Killed
            case 3 if len(lines) > 1:
                return Reply(Outcome.TOO_LARGE, "status 413")
            case _:
                self.batches.append(list(lines))
                return TAKEN


@pytest.mark.parametrize("course", range(size(2, 40)))
def test_numbers_and_counts_agree(database: Database, environment: str, course: int) -> None:
    random.seed(course)
    containers = [Writing(database, environment, name) for name in ("one", "two")]
    written, receiver = 0, _Fitful()
    ours = shipper(database, receiver)
    run(ours)  # from the beginning
    for _ in range(60):
        match random.randrange(6):
            case 0 | 1:
                number = random.randrange(1, 6)
                texts = [f"line {written + index}" for index in range(number)]
                random.choice(containers).write(*texts, stream=random.choice(["stdout", "stderr"]))
                written += number
            case 2:
                _delete_some(database)
            case _:
                try:
                    run(ours)
                except _Killed:
                    ours = shipper(database, receiver)
    calm = FakeReceiver()
    calm.batches = receiver.batches
    ours = shipper(database, calm)
    run(ours)
    run(ours)

    unique = set(calm.lines)
    numbers = counted(database)
    assert len({(line.container_id, line.seq) for line in unique}) == len(unique)
    assert calm.doubles() <= numbers.get("doubtful", 0)
    assert written - len(unique) <= numbers.get("lost", 0)
    # What is in doubt and deleted before it is known is both: sent, and counted as lost.
    assert numbers.get("accepted", 0) + numbers.get("lost", 0) == written


def _delete_some(database: Database) -> None:
    with database.writing() as session:
        ids = session.scalars(select(LogEntry.id).order_by(LogEntry.id)).all()
        session.execute(delete(LogEntry).where(LogEntry.id.in_(ids[: len(ids) // 2])))
