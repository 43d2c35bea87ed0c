"""Containers that use what they are told to, and what the ledger has of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from app.agent.usage.meter import Meter
from app.domain.usage.booking import COUNTERS, SUMS
from app.domain.usage.ledger import Ledger
from app.engine import ContainerSpec
from app.storage import (
    ContainerExit,
    Database,
    Environment,
    EnvironmentStatus,
    ExitReason,
    Project,
    Team,
    UsageRow,
    User,
)
from app.storage.fence import Fence, unfenced
from tests.support.fakes import FIRST_START, IMAGE, NOTHING_USED, FakeEngine

NS = 1_000_000_000
BEGAN = int(FIRST_START.timestamp()) * NS


class World:
    """Two teams with a project each, and containers of their environments."""

    def __init__(self, database: Database, engine: FakeEngine) -> None:
        self.database = database
        self.engine = engine
        self.passed = 0.0
        self.projects: list[str] = []
        with database.writing() as session:
            self.maker = User(email="ada@example.org", password_hash="none")
            session.add(self.maker)
            for name in ("red", "blue"):
                team = Team(name=name)
                session.add(team)
                session.flush()
                project = Project(name=f"of-{name}", owner_team_id=team.id)
                session.add(project)
                session.flush()
                self.projects.append(project.id)

    def environment(self, name: str, team: int = 0) -> str:
        """Make an environment and its container, which runs."""
        with self.database.writing() as session:
            made = Environment(
                project_id=self.projects[team],
                created_by=self.maker.id,
                name=name,
                image=IMAGE,
                cpu_limit=1,
                memory_limit_mb=64,
                status=EnvironmentStatus.RUNNING,
            )
            session.add(made)
            session.flush()
            made.container_id = self.engine.create(
                ContainerSpec(made.id, name, IMAGE, {}, [], 1, 64)
            )
            self.engine.start(made.container_id)
            return made.container_id

    def use(self, container: str, amount: int, seconds: int = 10, **changes: Any) -> None:
        """Have the container use so much of everything in so many seconds."""
        now = self.used(container)
        self.passed += seconds
        more = {name: getattr(now, name) + amount for name in COUNTERS}
        at = now.read_at_ns + seconds * NS
        name = self.engine._named(container) or ""
        self.engine.used[name] = replace(now, read_at_ns=at, **{**more, **changes})

    def used(self, container: str) -> Any:
        """Return the container's totals now."""
        return self.engine.used.get(self.engine._named(container) or "", NOTHING_USED)

    def begin_again(self, container: str) -> None:
        """End the run and begin another, whose totals begin at zero; nobody notes the end."""
        at = self.used(container).read_at_ns
        self.engine.stop(container, 0)
        self.engine.start(container)
        self.engine.used[self.engine._named(container) or ""] = replace(NOTHING_USED, read_at_ns=at)

    def note_end(
        self, container: str, reason: ExitReason = ExitReason.USER, after: int = 0
    ) -> None:
        """End the run, and note its end, so many seconds after what it used last."""
        state = self.engine.inspect(container)
        at = datetime.fromtimestamp(self.used(container).read_at_ns / NS, UTC)
        with self.database.writing() as session:
            record = session.scalars(
                select(Environment).where(Environment.container_id == container)
            ).one()
            record.status = EnvironmentStatus.STOPPED
            session.add(
                ContainerExit(
                    container_id=container,
                    run_started=state.started,
                    environment_id=record.id,
                    reason=reason,
                    exited_at=at + timedelta(seconds=after),
                )
            )
        self.engine.stop(container, 0)

    def meter(self, fence: Fence = unfenced) -> Meter:
        """Return a meter that reads everything each time."""
        ledger = Ledger(self.database, fence)
        return Meter(self.database, self.engine, ledger, 0, clock=lambda: self.passed)


def sums(database: Database, by: Any = None) -> dict[Any, dict[str, int]]:
    """Return what is booked, by a column; all together under None."""
    columns = [func.sum(getattr(UsageRow, name)) for name in SUMS]
    query = select(UsageRow.environment_id if by is None else by, *columns)
    query = query.group_by(UsageRow.environment_id if by is None else by)
    with database.reading() as session:
        found = {
            key: {name: int(value) for name, value in zip(SUMS, values, strict=True)}
            for key, *values in session.execute(query)
        }
    if by is not None:
        return found
    return {None: {name: sum(values[name] for values in found.values()) for name in SUMS}}
