"""Everything that a term starts is ended by its end."""

import gc
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from app.agent.leader.election import Term
from app.agent.leader.lease import Leases
from app.agent.leader.term import Leader
from app.agent.pulls.build import build_pulls
from app.agent.reconcile.event_history import ContainerEventHistory
from app.agent.wiring import Parts
from app.core import signals
from app.core.isolation import ROUNDS
from app.core.settings import Settings
from app.domain.environments.build import build as build_environments
from app.domain.environments.containers import InstallationId
from app.domain.heartbeat import Heartbeat
from app.storage import Database, EnvironmentStatus
from app.storage.cautious_clock import CautiousClock
from tests.agent.conftest import MakeRecord
from tests.agent.log_shipping.support import FakeReceiver
from tests.backends.programs import wait_until
from tests.sizes import size
from tests.support.fakes import FakeEngine

TERMS = size(8, 20)
PARTS_OF_A_TERM = (
    "app.agent.",
    "app.core.items",
    "app.domain.extensions.",
    "app.domain.logs.",
    "app.domain.sessions.",
)


@pytest.fixture
def parts(database: Database, engine: FakeEngine) -> Parts:
    settings = Settings(
        agent_sweep_interval=0.05,
        alerts_token="secret",
        probe="cron",
        probe_url="http://127.0.0.1:1",
    )
    heartbeat = Heartbeat(database)
    return Parts(
        settings=settings,
        database=database,
        engine=engine,
        heartbeat=heartbeat,
        environments=build_environments(settings, database, engine, heartbeat),
        instance=InstallationId(database),
        event_history=ContainerEventHistory(),
        clock=CautiousClock(database),
        pulls=build_pulls(settings, database, engine, heartbeat),
        receivers=lambda _stopping: FakeReceiver(),
    )


@dataclass(frozen=True)
class Held:
    """What the process holds."""

    threads: frozenset[str]
    descriptors: int
    callbacks: int
    receivers: int
    objects: int


def held(parts: Parts) -> Held:
    parts.database.dispose()  # how many connections are kept depends on what met by chance
    gc.collect()
    mine = [
        thing
        for thing in gc.get_objects()
        if (type(thing).__module__ or "").startswith(PARTS_OF_A_TERM)
    ]
    return Held(
        threads=frozenset(thread.name for thread in threading.enumerate()),
        descriptors=len(os.listdir("/proc/self/fd")),
        callbacks=len(parts.heartbeat.on_seen),
        receivers=sum(len(signal.receivers) for signal in vars(signals)["_signals"].values()),
        objects=len(mine),
    )


def serve(parts: Parts, leader: Leader, wait: Callable[[], None]) -> None:
    """Lead for as long as `wait` takes, in good order."""
    leases = Leases(parts.database, "leader")
    won = leases.win()
    assert won is not None
    term = Term(won, time.monotonic() + 60)
    leader.begin(term)
    wait()
    term.end()
    leader.end(term)
    leases.release(won)


def test_each_task_tells_when_it_came_round(parts: Parts) -> None:
    told: set[str] = set()

    def hear(_sender: object, *, loop: str) -> None:
        told.add(loop)

    leader = Leader(parts)
    with signals.loop_done.connected_to(hear):
        serve(parts, leader, lambda: wait_until(lambda: told >= set(ROUNDS), 15))
    assert told == set(ROUNDS)


def test_terms_leave_nothing_behind(
    parts: Parts, record: MakeRecord, container: Callable[..., str]
) -> None:
    for number in range(3):
        environment = record(
            EnvironmentStatus.RUNNING,
            container_id=f"box-{number}",
            run_started="2026-01-01T00:00:01Z",
        )
        container(environment)
    leader = Leader(parts)
    serve(parts, leader, lambda: time.sleep(0.3))  # what is made once, for all terms
    before = held(parts)

    for _ in range(TERMS):
        serve(parts, leader, lambda: time.sleep(0.1))

    wait_until(lambda: held(parts) == before, 15, otherwise=lambda: f"{before}\n{held(parts)}")
