"""The agent's process: from its start to SIGTERM, whatever becomes of database and Docker.

Set PROMETHEUS_MULTIPROC_DIR to an absolute path, and prepare that directory, before this module is
imported: the metrics client joins it then.
"""

import logging
import signal
import socket
import threading
from datetime import timedelta

from sqlalchemy import exists, select

from app.agent.leader.election import Leadership
from app.agent.leader.lease import Leases
from app.agent.leader.term import Leader
from app.agent.pace import USUAL, Pace
from app.agent.pulls.build import build_pulls
from app.agent.reconcile.event_history import ContainerEventHistory
from app.agent.wiring import Parts
from app.core.errors import StorageUnavailableError
from app.core.log_receiver import Receivers
from app.core.settings import Settings, retired_in_use
from app.core.trace_context import record_tasks
from app.domain.environments.build import build as build_environments
from app.domain.environments.containers import InstallationId
from app.domain.heartbeat import Heartbeat, is_alive
from app.metrics.catalogue import registry
from app.metrics.engine_calls import measured
from app.metrics.exemplars import of_trace
from app.metrics.instruments import measure_process
from app.storage import Database, Process, schema
from app.storage.cautious_clock import CautiousClock
from app.storage.lease import agent_leads
from app.tracing.build import build as build_recorder
from app.wiring import open_database, open_engine
from prefork_metrics.runtime.runtime import Runtime
from prefork_metrics.values import store

SLOT = "agent"
# One for each thread that a leader has, and some for the logs of many containers.
_CONNECTIONS = 16
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0
_PLACE_LENGTH = 32
_CHECK_SECONDS = 5.0
_log = logging.getLogger(__name__)


def run(settings: Settings, pace: Pace = USUAL, receivers: Receivers | None = None) -> None:
    """Run until SIGTERM or SIGINT. `receivers` makes what container logs are sent by, if any.

    Raises: SchemaRevisionError (the operator has to correct that).
    """
    for sentence in retired_in_use():
        _log.warning("retired setting", extra={"why": sentence})
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    limit = max(_CONNECTIONS, settings.db_pool_size)
    database = open_database(settings, limit)
    recorder = build_recorder(settings)
    if recorder is not None:
        recorder.on_kept.append(of_trace)
        record_tasks(recorder.task)
    runtime = Runtime(registry, "agent", SLOT)
    try:
        measure_process(database, limit)
        runtime.start()
        if _await_schema(database, stopping):
            _serve(settings, database, stopping, pace, receivers)
    finally:
        database.dispose()
        runtime.close()
        if recorder is not None:
            recorder.close()
        store.leave()


def trouble(database: Database) -> str | None:
    """Return why no agent of this host is at work, None where one is.

    A process that signs on shows that it lives; that agents do their work shows the one that leads.
    Raises: SchemaRevisionError, StorageUnavailableError.
    """
    schema.check(database)
    recent = exists().where(Process.place == _place(), is_alive())
    with database.reading() as session:
        if not session.scalar(select(recent)):
            return f"No agent of this host ({_place()}) is seen: start `vibebox agent`."
    if not agent_leads(database, _CHECK_SECONDS):
        return "This host's agent lives, but none leads: see its log, and restart it."
    return None


def _place() -> str:
    return f"{SLOT}@{socket.gethostname()}"[:_PLACE_LENGTH]


def _await_schema(database: Database, stopping: threading.Event) -> bool:
    """Wait for the database. Raises: SchemaRevisionError. Returns: False where told to stop."""
    pause = _FIRST_PAUSE
    told = None
    while not stopping.is_set():
        try:
            schema.check(database)
            return True
        except StorageUnavailableError as error:
            if error.reason != told:
                told = error.reason
                _log.warning("database not reachable at start", extra={"why": told})
        stopping.wait(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return False


def _serve(
    settings: Settings,
    database: Database,
    stopping: threading.Event,
    pace: Pace,
    receivers: Receivers | None,
) -> None:
    engine = measured(open_engine(settings))
    heartbeat = Heartbeat(database, place=_place())
    pulls = build_pulls(settings, database, engine, heartbeat)
    leader = Leader(
        Parts(
            settings=settings,
            database=database,
            engine=engine,
            heartbeat=heartbeat,
            environments=build_environments(settings, database, engine, heartbeat),
            instance=InstallationId(database),
            event_history=ContainerEventHistory(),
            clock=CautiousClock(database),
            pulls=pulls,
            pace=pace,
            receivers=receivers,
        )
    )
    leases = Leases(database, heartbeat.id, timedelta(seconds=pace.lease))
    leadership = Leadership(leases, leader.begin, leader.end, pace)
    heartbeat.start()
    leadership.start()
    _log.info("agent started")
    stopping.wait()
    leadership.close()
    pulls.close()
    heartbeat.close()
    engine.close()
    _log.info("agent ended")
