"""Whatever happens in whatever order, what is booked is what was used: nothing twice, nothing lost.

Truth is the sum of what containers were told to use, each run up to the last reading that somebody
took of it. Readings are taken, agents die between a reading and its commit or right after that,
commits get no answer, Docker is away, containers begin anew, and the database is slow to tell.
"""

import itertools
import random
from collections import Counter

import pytest
from sqlalchemy.orm import Session

from app.agent.usage.meter import Meter
from app.core.errors import EngineUnreachableError, StorageUnavailableError
from app.domain.usage.booking import COUNTERS
from app.domain.usage.ledger import Ledger, Reading
from app.storage import UsageRow
from tests.agent.usage.support import World, sums
from tests.sizes import size
from tests.support.fakes import Failure


class _Killed(BaseException):
    pass


def _dying_fence(_session: Session) -> None:
    raise _Killed


class _Fitful(Ledger):
    """Dies before or after a commit, or gets no answer to it."""

    course = "well"

    def store(self, readings: list[Reading]) -> None:  # type: ignore[override]
        course, self.course = self.course, "well"
        if course == "killed before":
            raise _Killed
        super().store(readings)
        if course == "killed after":
            raise _Killed
        if course == "no answer":
            raise StorageUnavailableError


def _meter(world: World, ledger: Ledger) -> Meter:
    """Return one in whose every round all containers have their turn."""
    minutes = itertools.count(0.0, 60.0)
    return Meter(world.database, world.engine, ledger, 0, clock=lambda: next(minutes))


@pytest.mark.parametrize("course", range(size(4, 60)))
def test_booked_is_used(world: World, course: int) -> None:
    random.seed(course)
    ledger = _Fitful(world.database, lambda session: None)
    meter = _meter(world, ledger)
    containers = [world.environment(f"e{index}", index % 2) for index in range(4)]
    lost: Counter[str] = Counter()
    read: Counter[str] = Counter()  # of the present run, what a committed reading had
    truth = 0
    for _ in range(size(40, 80)):
        container = random.choice(containers)
        match random.randrange(10):
            case 0 | 1 | 2 | 3:
                world.use(container, random.randrange(1000))
            case 4:
                lost[container] += world.used(container).cpu_ns - read.pop(container, 0)
                truth += world.used(container).cpu_ns
                world.begin_again(container)
            case 5:
                world.engine.failures["counters"] = Failure.UNREACHABLE
                with pytest.raises(EngineUnreachableError):
                    meter.run()
                world.engine.failures.clear()
                # It would leave the containers alone for a moment.
                meter = _meter(world, ledger)
            case _:
                ledger.course = random.choice(
                    ["well", "killed before", "killed after", "no answer"]
                )
                stored = ledger.course != "killed before"
                try:
                    meter.run()
                except (_Killed, StorageUnavailableError):
                    meter = _meter(world, ledger)
                if stored:
                    read.update({it: world.used(it).cpu_ns - read[it] for it in containers})
    meter.run()
    meter.run()
    truth += sum(world.used(container).cpu_ns for container in containers)
    booked = sums(world.database)[None]
    assert [booked[name] for name in COUNTERS] == [truth - lost.total()] * len(COUNTERS)
    by_team = sums(world.database, UsageRow.team)
    assert set(by_team) == {"red", "blue"}
    assert sum(team["cpu_ns"] for team in by_team.values()) == booked["cpu_ns"]


def test_fence_stands_before_everything(world: World) -> None:
    world.use(world.environment("one"), 100)
    with pytest.raises(_Killed):
        world.meter(_dying_fence).run()
    assert sums(world.database)[None]["cpu_ns"] == 0
