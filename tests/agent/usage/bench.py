"""Environments whose containers are real, in the two teams of `World`."""

from typing import Any

from app.engine import ContainerSpec, DockerEngine
from app.storage import Database, Environment, EnvironmentStatus
from tests.agent.usage.support import World
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.engine.images import commit
from tests.support.fakes import FakeEngine


class Bench:
    """Environments whose containers are real."""

    def __init__(self, database: Database, real: RealEngine, gateway: DockerEngine) -> None:
        self.world = World(database, FakeEngine())
        self.database, self.real, self.gateway = database, real, gateway
        self.images: dict[str, str] = {}

    def launch(self, script: str, name: str, team: int = 0, cpus: float = 0.2) -> str:
        """Run a script as the container of a new environment; return the container's id."""
        raw: Any = self.real.client()
        if script not in self.images:
            self.images[script] = commit(raw, self.real, script)
        with self.database.writing() as session:
            made = Environment(
                project_id=self.world.projects[team],
                name=name,
                image="x",
                cpu_limit=cpus,
                memory_limit_mb=16,
                status=EnvironmentStatus.RUNNING,
            )
            session.add(made)
            session.flush()
            spec = ContainerSpec(made.id, name, self.images[script], {}, [], cpus, 16)
            made.container_id = self.gateway.create(spec)
            self.gateway.start(made.container_id)
            return made.container_id
