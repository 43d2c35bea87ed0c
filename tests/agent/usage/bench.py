"""Environments whose containers are real, in the two teams of `World`, and what the kernel has."""

from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from app.engine import ENVIRONMENT_LABEL, ContainerSpec, DockerEngine
from app.storage import (
    ContainerExit,
    Database,
    Environment,
    EnvironmentStatus,
    ExitReason,
    UsageCursor,
    utc_now,
)
from tests.agent.usage.support import World
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.backends.programs import wait_until
from tests.engine.images import commit
from tests.support.fakes import FakeEngine

SOON = 60.0
_MEMORY_MB = 16


class Bench:
    """Environments whose containers are real."""

    def __init__(self, database: Database, real: RealEngine, gateway: DockerEngine) -> None:
        self.world = World(database, FakeEngine())
        self.database, self.real, self.gateway = database, real, gateway
        self.images: dict[str, str] = {}

    def launch(
        self, script: str, name: str, team: int = 0, cpus: float = 0.2, parent: str = ""
    ) -> str:
        """Run a script as the container of a new environment; return the container's id.

        Its control group is below `parent`, where that is given.
        """
        raw: Any = self.real.client()
        if script not in self.images:
            self.images[script] = commit(raw, self.real, script)
        with self.database.writing() as session:
            made = Environment(
                project_id=self.world.projects[team],
                name=name,
                image="x",
                cpu_limit=cpus,
                memory_limit_mb=_MEMORY_MB,
                status=EnvironmentStatus.RUNNING,
            )
            session.add(made)
            session.flush()
            spec = ContainerSpec(made.id, name, self.images[script], {}, [], cpus, _MEMORY_MB)
            if parent:
                made.container_id = self._create_below(parent, spec)
            else:
                made.container_id = self.gateway.create(spec)
            self.gateway.start(made.container_id)
            return made.container_id

    def _create_below(self, parent: str, spec: ContainerSpec) -> str:
        raw: Any = self.real.client()
        limits = raw.create_host_config(
            cgroup_parent=parent,
            nano_cpus=round(spec.cpu_limit * 1e9),
            mem_limit=f"{spec.memory_limit_mb}m",
        )
        labels = {ENVIRONMENT_LABEL: spec.environment_id}
        return str(raw.create_container(spec.image, host_config=limits, labels=labels)["Id"])

    def pid(self, container: str) -> int:
        """Return the number of its first process."""
        return self.gateway.inspect(container).pid or 0

    def set_status(self, container: str, status: EnvironmentStatus) -> None:
        """Have the record say that."""
        is_it = Environment.container_id == container
        with self.database.writing() as session:
            session.execute(update(Environment).where(is_it).values(status=status))

    def end(self, container: str) -> None:
        """Wait for the end of a run, and record it as the reconciler does."""
        wait_until(lambda: not self.gateway.inspect(container).running, SOON)
        state = self.gateway.inspect(container)
        self.set_status(container, EnvironmentStatus.STOPPED)
        reason = ExitReason.OOM if state.oom_killed else ExitReason.COMPLETED
        ended = ContainerExit(container_id=container, run_started=state.started, reason=reason)
        ended.exited_at = state.finished_at or utc_now()
        ended.environment_id = state.environment_id or ""
        with self.database.writing() as session:
            session.add(ended)

    def booked_cpu(self, container: str) -> int:
        """Return the nanoseconds of all its runs that are booked."""
        with self.database.reading() as session:
            query = select(func.sum(UsageCursor.cpu_ns))
            return int(session.scalar(query.where(UsageCursor.container_id == container)) or 0)

    def is_whole(self, container: str) -> bool:
        """Tell whether a last reading of one of its runs is booked, or that it has ended."""
        query = select(UsageCursor.ended).where(UsageCursor.container_id == container)
        with self.database.reading() as session:
            return any(session.scalars(query))


def group_of(pid: int, controller: str) -> Path:
    """Return a control group's directory, as the kernel tells it: without a line of the product."""
    unified = ""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return Path(f"/sys/fs/cgroup/{controller}{path}")
        unified = path if not controllers else unified
    return Path(f"/sys/fs/cgroup{unified}")


def cpu_of(group: Path) -> int:
    """Return the nanoseconds that a control group has used."""
    if (group / "cpuacct.usage").exists():
        return int((group / "cpuacct.usage").read_text())
    return int((group / "cpu.stat").read_text().split()[1]) * 1000


def throttled_of(pid: int) -> int:
    """Return for how long a process's group was held back, in the kernel's unit."""
    lines = (group_of(pid, "cpu") / "cpu.stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("throttled_"))
