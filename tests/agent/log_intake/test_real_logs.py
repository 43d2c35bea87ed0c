"""The intake with a real Docker Engine: what containers really write, and how readings end."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from app.agent.log_intake.intake import LogIntake
from app.agent.log_intake.lines import CUT, LINE_LIMIT
from app.engine import ContainerSpec, DockerEngine
from app.storage import Database, LogEntry
from tests.agent.log_intake import intake_process
from tests.agent.log_intake.conftest import IntakeFactory
from tests.agent.log_intake.support import assert_usage_is_exact, counted, stored
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import Program, wait_until
from tests.backends.web import ROOT
from tests.engine.images import commit, until_ended

pytestmark = pytest.mark.integration

SOON = 60.0
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
Run = Callable[[str], str]


@pytest.fixture
def url(migrated_postgresql: str) -> str:
    return migrated_postgresql


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.dispose()


@pytest.fixture
def run(docker_engine: RealEngine, gateway: DockerEngine, environment: str) -> Run:
    """A function that runs a script as the environment's container, and returns its id."""
    raw: Any = docker_engine.client()

    def start(script: str) -> str:
        image = commit(raw, docker_engine, script)
        spec = ContainerSpec(environment, f"vibebox-{environment}", image, {}, [], 1, 64)
        container = gateway.create(spec)
        gateway.start(container)
        return container

    return start


def take_in(intake: LogIntake, environment: str, container: str) -> None:
    """Follow the container to its end."""
    intake.follow(environment, container)
    wait_until(lambda: not intake.following(), SOON)


def count(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(LogEntry)) or 0


def test_long_and_strange_lines(
    database: Database,
    environment: str,
    gateway: DockerEngine,
    run: Run,
    make_intake: IntakeFactory,
) -> None:
    container = run(
        "x() { head -c $1 /dev/zero | tr '\\0' x; }; x 16384; echo; x 40000; echo; x 70000; echo;"
        "x 65536; echo; printf 'a\\000b\\377c\\n\\n'; printf 'gr\\303\\274n\\n'; printf 'open end'"
    )
    until_ended(gateway, container)
    intake = make_intake(gateway)

    take_in(intake, environment, container)

    assert stored(database) == [
        "x" * 16384,
        "x" * 40000,
        "x" * LINE_LIMIT + CUT,
        "x" * LINE_LIMIT,
        f"a{UNKNOWN}b{UNKNOWN}c",
        "",
        "grün",
        "open end",
    ]
    before = counted(database)
    take_in(intake, environment, container)
    take_in(make_intake(gateway), environment, container)
    assert counted(database) == before == {"stdout": 8}

    gateway.start(container)
    take_in(intake, environment, container)
    assert counted(database) == {"stdout": 16}
    assert_usage_is_exact(database)


def test_nothing_is_missed_when_docker_turns_its_files_over(
    database: Database,
    environment: str,
    gateway: DockerEngine,
    run: Run,
    make_intake: IntakeFactory,
) -> None:
    """Two files of 10 MB fill while the first is read; a followed log alone ends with that one."""
    filler = "y" * 600
    container = run(
        f"seq 35000 | sed 's/$/ {filler}/'; for i in 1 2 3; do sleep 0.3; echo $i; done"
    )

    take_in(make_intake(gateway), environment, container)

    numbers = [int(line.split()[0]) for line in stored(database)]
    assert numbers == [*range(1, 35001), 1, 2, 3]


def test_database_that_hangs_for_a_while_costs_nothing(
    database: Database,
    environment: str,
    gateway: DockerEngine,
    run: Run,
    make_intake: IntakeFactory,
    postgresql: PostgreSQL,
) -> None:
    container = run("for i in 1 2 3 4 5 6; do seq 2000; sleep 0.5; done")
    intake = make_intake(gateway)
    intake.follow(environment, container)
    wait_until(lambda: count(database) > 0, SOON)

    postgresql.suspend()
    time.sleep(2)
    postgresql.resume()
    wait_until(lambda: count(database) > 4000, SOON)
    postgresql.stop()
    time.sleep(1)
    postgresql.start()

    wait_until(lambda: not intake.following(), SOON)
    assert [int(line) for line in stored(database)] == [*range(1, 2001)] * 6
    assert counted(database) == {"stdout": 12000}


def test_engine_that_is_killed_for_a_while_costs_nothing(
    database: Database,
    environment: str,
    gateway: DockerEngine,
    run: Run,
    make_intake: IntakeFactory,
    docker_engine: RealEngine,
) -> None:
    container = run("seq 3000; sleep 1000")
    intake = make_intake(gateway)
    intake.follow(environment, container)
    wait_until(lambda: count(database) == 3000, SOON)

    docker_engine.kill()
    time.sleep(0.5)
    docker_engine.start()
    gateway.start(container)

    wait_until(lambda: count(database) == 6000, SOON)
    assert [int(line) for line in stored(database)] == [*range(1, 3001)] * 2


def test_killed_between_commit_and_metric(
    database: Database,
    url: str,
    environment: str,
    gateway: DockerEngine,
    docker_engine: RealEngine,
    run: Run,
    tmp_path: Path,
) -> None:
    container = run("seq 9000")
    until_ended(gateway, container)
    env = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url,
        "DOCKER_HOST": docker_engine.host,
    }
    command = [sys.executable, "-m", intake_process.__name__]
    for batches in (1, 2, 0):
        mortal = {**env, intake_process.DEATH: str(batches)}
        program = Program(command, tmp_path / "log", env=mortal, cwd=ROOT)
        program.start()
        if batches:
            assert program.wait(SOON) == -9
            assert 0 < count(database) < 9000
        else:
            wait_until(lambda: count(database) == 9000, SOON)
            assert program.stop() == 0
        assert counted(database, intake_process.DIRECTORY) == {"stdout": count(database)}
    assert [int(line) for line in stored(database)] == [*range(1, 9001)]
    assert_usage_is_exact(database)
