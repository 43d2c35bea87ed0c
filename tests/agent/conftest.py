"""Records and containers to compare: a database of its own, a Docker in memory or a real one."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.agent.reconcile.event_history import ContainerEventHistory
from app.agent.reconcile.reconciler import Reconciler
from app.domain.environments.containers import InstallationId, name_for
from app.engine import ContainerSpec, DockerEngine
from app.storage import Database, Environment, EnvironmentStatus, Project, User
from app.storage.fence import unfenced
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.support.fakes import IMAGE, FakeEngine

MakeRecord = Callable[..., str]


@pytest.fixture
def gateway(docker_engine: RealEngine) -> Iterator[DockerEngine]:
    """A gateway to a real engine, which has no container at the end."""
    gateway = DockerEngine(docker_engine.host, query_timeout=30)
    yield gateway
    gateway.close()
    docker_engine.clear()


@pytest.fixture
def project(database: Database) -> str:
    """A project, for records to belong to."""
    with database.writing() as session:
        user = User(email="ada@example.org", password_hash="none")
        session.add(user)
        session.flush()
        project = Project(name="personal", owner_user_id=user.id)
        session.add(project)
        session.flush()
        return project.id


@pytest.fixture
def record(database: Database, project: str) -> MakeRecord:
    """A function that makes a record; its arguments are columns."""
    made = iter(range(1000))

    def make(status: EnvironmentStatus = EnvironmentStatus.STOPPED, **columns: Any) -> str:
        environment = Environment(
            project_id=project,
            name=f"env-{next(made)}",
            image=IMAGE,
            cpu_limit=1.0,
            memory_limit_mb=64,
            status=status,
            **columns,
        )
        with database.writing() as session:
            session.add(environment)
            session.flush()
            return environment.id

    return make


@pytest.fixture
def instance(database: Database) -> InstallationId:
    return InstallationId(database)


@pytest.fixture
def event_history() -> ContainerEventHistory:
    return ContainerEventHistory()


@pytest.fixture
def reconciler(
    database: Database,
    engine: FakeEngine,
    event_history: ContainerEventHistory,
    instance: InstallationId,
) -> Reconciler:
    return Reconciler(database, engine, event_history, instance=instance, fence=unfenced)


@pytest.fixture
def container(engine: FakeEngine, instance: InstallationId) -> Callable[..., str]:
    """A function that makes the container of a record, started if so wished."""

    def make(environment: str, started: bool = True, **changes: Any) -> str:
        fields = {"name": name_for(environment), "instance": instance(), **changes}
        made = engine.create(
            ContainerSpec(
                environment_id=environment,
                image=IMAGE,
                env={},
                ports=[],
                cpu_limit=1.0,
                memory_limit_mb=64,
                **fields,
            )
        )
        if started:
            engine.start(made)
        return made

    return make
