"""What may go wrong with the services of an installation, one at a time.

Each is done by a function, which returns what ends it.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.backends import scratch
from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL

Undo = Callable[[], object]


class Harmed(Protocol):
    """A VibeBox with services of its own, which may be harmed."""

    database: PostgreSQL
    engine: DockerEngine
    agent: Agent

    @property
    def metrics_disk(self) -> Path: ...


def frozen(pid: int) -> Undo:
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


def agent_killed(it: Harmed) -> Undo:
    it.agent.kill()
    return it.agent.start


def agent_hangs(it: Harmed) -> Undo:
    return frozen(it.agent.pid)


def database_gone(it: Harmed) -> Undo:
    it.database.stop()
    return it.database.start


def database_hangs(it: Harmed) -> Undo:
    it.database.suspend()
    return it.database.resume


def database_read_only(it: Harmed) -> Undo:
    def set_to(value: str) -> None:
        it.database.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        it.database.execute("SELECT pg_reload_conf()")

    set_to("on")
    return lambda: set_to("off")


def database_full(it: Harmed) -> Undo:
    assert it.database.disk
    return scratch.fill(it.database.disk).unlink


def engine_gone(it: Harmed) -> Undo:
    it.engine.stop()
    return it.engine.start


def engine_hangs(it: Harmed) -> Undo:
    it.engine.suspend()
    return it.engine.resume


def engine_only_answers(it: Harmed) -> Undo:
    it.engine.suspend_runtime()
    return it.engine.resume_runtime


def engine_full(it: Harmed) -> Undo:
    return scratch.fill(it.engine.disk).unlink


def metrics_disk_full(it: Harmed) -> Undo:
    return scratch.fill(it.metrics_disk).unlink
