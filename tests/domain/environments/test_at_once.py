"""What several processes do at once, on the database that lets them."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from app.agent.pulls.build import build_pulls
from app.core.errors import PortReservedError
from app.core.settings import Settings
from app.domain.authorization import Identity
from app.domain.environments import ports
from app.domain.heartbeat import Heartbeat
from app.storage import (
    Database,
    Environment,
    EnvironmentStatus,
    ImagePull,
    PortReservation,
    Project,
    User,
    new_id,
)
from tests.support.fakes import FakeEngine

pytestmark = pytest.mark.integration
COUNT = 12
REMOTE = "remote:1"


@pytest.fixture
def database(migrated_postgresql: str) -> Iterator[Database]:
    database = Database(migrated_postgresql, pool_size=COUNT)
    yield database
    database.dispose()


@pytest.fixture
def identity(database: Database) -> Identity:
    user = User(id=new_id(), email="ada@example.org", password_hash="x")
    with database.writing() as session:
        session.add(user)
    return Identity(user.id, user.email)


@pytest.fixture
def environments(database: Database, identity: Identity) -> list[str]:
    """Environments that start, each waiting for its image."""
    project = Project(id=new_id(), name="p", owner_user_id=identity.user_id)
    made = [
        Environment(
            id=new_id(),
            project_id=project.id,
            name=f"e{number}",
            image=REMOTE,
            cpu_limit=1,
            memory_limit_mb=64,
            status=EnvironmentStatus.STARTING,
        )
        for number in range(COUNT)
    ]
    with database.writing() as session:
        session.add(project)
        session.flush()
        session.add_all(made)
        session.flush()
        session.add_all(ImagePull(environment_id=one.id, image=REMOTE) for one in made)
    return [one.id for one in made]


def test_of_many_that_reserve_at_once_one_gets_each_port(
    database: Database, identity: Identity, environments: list[str]
) -> None:
    together = threading.Barrier(COUNT)

    def attempt(number: int) -> str:
        # Some ask in another order: nobody must wait in a circle.
        wanted = [8000, 9000, 8001] if number % 2 else [8001, 9000, 8000]
        asked = [{"host_port": port, "protocol": "tcp"} for port in wanted]
        together.wait(30)
        try:
            with database.writing() as session:
                ports.reserve(session, identity, environments[number], asked)
        except PortReservedError as error:
            return "e" if "'e" in error.detail else error.detail
        return "got it"

    with ThreadPoolExecutor(COUNT) as pool:
        answers = Counter(pool.map(attempt, range(COUNT)))

    assert answers == {"got it": 1, "e": COUNT - 1}
    with database.reading() as session:
        holders = session.execute(
            select(PortReservation.environment_id, func.count()).group_by(
                PortReservation.environment_id
            )
        ).all()
    assert [count for _, count in holders] == [3]


def test_two_agents_carry_out_each_pull_once(database: Database, environments: list[str]) -> None:
    engine = FakeEngine(registry={REMOTE})
    agents = [
        build_pulls(Settings(), database, engine, Heartbeat(database, f"agent-{number}"))
        for number in range(2)
    ]

    def states() -> Counter[EnvironmentStatus]:
        with database.reading() as session:
            return Counter(session.scalars(select(Environment.status)))

    for _ in range(200):
        for agent in agents:
            agent.run_pending()
        if states() == {EnvironmentStatus.RUNNING: COUNT}:
            break
        threading.Event().wait(0.05)
    for agent in agents:
        agent.close()

    assert states() == {EnvironmentStatus.RUNNING: COUNT}
    assert engine.calls.count("start") == COUNT
    assert engine.calls.count("pull") == COUNT
    assert len(engine.containers) == COUNT
