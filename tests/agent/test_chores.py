"""What a leader does beside following Docker: counting, sweeping, deleting what is old."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from app.agent.exit_counter import ExitCounter
from app.agent.housekeeping import Housekeeping
from app.agent.leader.election import Term
from app.agent.leader.lease import Leases
from app.agent.reconcile.drift import Drift
from app.agent.reconcile.queue import WorkQueue
from app.agent.reconcile.sweep import Sweep
from app.agent.reports import Reports
from app.core import signals
from app.core.errors import EngineUnreachableError, LeadershipLostError, StorageUnavailableError
from app.core.settings import Settings
from app.domain.durable_counters import DurableCounters
from app.domain.environments.build import build
from app.domain.environments.containers import InstallationId
from app.domain.environments.exits import Exit, Run, record_exits
from app.domain.environments.service import Environments
from app.domain.heartbeat import Heartbeat
from app.engine import ENVIRONMENT_LABEL, INSTANCE_LABEL
from app.storage import (
    AgentReport,
    Alert,
    AuditEntry,
    AuthToken,
    Base,
    ClockReading,
    ContainerExit,
    Database,
    DurableCounter,
    Environment,
    EnvironmentStatus,
    ExitReason,
    ImagePull,
    Invitation,
    Login,
    Process,
    Report,
    User,
    utc_now,
)
from app.storage.cautious_clock import CautiousClock
from tests.agent.conftest import MakeRecord
from tests.agent.support import change, exits, stored
from tests.agent_loops import run_through
from tests.support.fakes import IMAGE, Failure, FakeEngine

COUNTER = DurableCounter.ENVIRONMENT_EXITS

DAY = timedelta(days=1)
STOPPED, RUNNING = EnvironmentStatus.STOPPED, EnvironmentStatus.RUNNING
MakeContainer = Callable[..., str]


@pytest.fixture
def term(database: Database) -> Term:
    held = Leases(database, "leader").win()
    assert held is not None
    return Term(held, time.monotonic() + 60)


@pytest.fixture
def told() -> Iterator[dict[str, int]]:
    """What the metrics were told of exits."""
    heard: dict[str, int] = {}

    def hear(_sender: object, *, counter: str, value: str, amount: int) -> None:
        assert counter == COUNTER
        heard[value] = heard.get(value, 0) + amount

    with signals.counted.connected_to(hear):
        yield heard


def end_runs(database: Database, *reasons: ExitReason, at: datetime | None = None) -> None:
    """Record an exit for each of the reasons."""
    with database.writing() as session:
        ended = [
            Exit(Run(f"{reason}-{number}", "then"), reason, 1, at or utc_now())
            for number, reason in enumerate(reasons)
        ]
        record_exits(session, Environment(id="environment", is_synthetic=False), ended)


def test_each_exit_is_counted_once(database: Database, term: Term, told: dict[str, int]) -> None:
    counts = DurableCounters("directory")
    counter = ExitCounter(database, counts, term)
    for _ in range(2):
        end_runs(database, ExitReason.USER, ExitReason.USER, ExitReason.OOM)
        counter.run()

    assert told == {"user": 2, "oom": 1}
    with database.reading() as session:
        assert counts.all(session) == {
            (COUNTER, "user"): 2,
            (COUNTER, "oom"): 1,
        }


def test_who_may_be_replaced_stores_and_tells_nobody(
    database: Database, term: Term, told: dict[str, int]
) -> None:
    end_runs(database, ExitReason.USER)
    term.certain_until = time.monotonic() - 1

    ExitCounter(database, DurableCounters("directory"), term).run()

    assert told == {}
    assert term.over.is_set()
    with pytest.raises(LeadershipLostError):
        ExitCounter(database, DurableCounters("directory"), term)._mark()


def test_commit_without_an_answer_ends_the_term(
    database: Database, term: Term, told: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    end_runs(database, ExitReason.USER)

    def fail(*_: Any) -> None:
        raise StorageUnavailableError

    monkeypatch.setattr(DurableCounters, "add", fail)
    with pytest.raises(StorageUnavailableError):
        ExitCounter(database, DurableCounters("directory"), term).run()

    assert term.over.is_set() and told == {}


@pytest.fixture
def environments(database: Database, engine: FakeEngine) -> Environments:
    return build(Settings(stop_grace=1), database, engine, Heartbeat(database))


@pytest.fixture
def chores(database: Database, environments: Environments, term: Term) -> Housekeeping:
    return Housekeeping(database, environments, term, CautiousClock(database), 365, probes=True)


def test_expired_environment_is_deleted_with_its_container(
    database: Database,
    engine: FakeEngine,
    record: MakeRecord,
    container: MakeContainer,
    chores: Housekeeping,
) -> None:
    over, lasting = (record(STOPPED, expires_at=utc_now() + days * DAY) for days in (-1, 1))
    record(EnvironmentStatus.STARTING, expires_at=utc_now() - DAY, held_by=living(database))
    container(over)
    container(lasting)

    run_through(chores.end_expired)

    assert [made.spec.environment_id for made in engine.containers.values()] == [lasting]
    assert stored(database, lasting).status == STOPPED
    with database.reading() as session:
        entries = session.execute(select(AuditEntry.actor, AuditEntry.action)).all()
    assert [tuple(entry) for entry in entries] == [("vibebox", "environment.expire")]


def living(database: Database) -> str:
    """Return a process that lives."""
    with database.writing() as session:
        return Heartbeat(database).ensure(session)


def test_environment_that_got_more_time_stays(
    database: Database, record: MakeRecord, environments: Environments
) -> None:
    environment = record(STOPPED, expires_at=utc_now() + DAY)

    environments.expire(environment, utc_now())

    assert stored(database, environment).status == STOPPED


def count(database: Database, model: type[Base]) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_what_is_old_goes_and_nothing_else(
    database: Database, record: MakeRecord, chores: Housekeeping
) -> None:
    now = utc_now()
    environment = record(STOPPED, container_id="kept", run_started="then")
    with database.writing() as session:
        for days in (1, 400):
            session.add(
                AuditEntry(actor="x", action="x", target_kind="x", at=now - days * DAY, details={})
            )
        for days in (0, 2):
            session.add(
                ImagePull(environment_id=environment, image=IMAGE, finished_at=now - days * DAY)
            )
        session.add(ImagePull(environment_id=environment, image=IMAGE))
        for name, days in (("living", 0), ("dead", 2)):
            session.add(Process(id=name, place="web", seen_at=now - days * DAY))
        for days in (1, 3):
            at = now - days * DAY
            session.add(ClockReading(boot_id="another", hour=days, booted_at=at, seen_at=at))
        for name, days, counted in (
            ("new", 1, True),
            ("old", 8, True),
            ("uncounted", 8, False),
            ("kept", 8, True),
        ):
            session.add(
                ContainerExit(
                    container_id=name,
                    run_started="then",
                    environment_id=environment,
                    reason=ExitReason.USER,
                    exited_at=now - days * DAY,
                    counted=counted,
                )
            )

        for days in (0, 2):
            session.add(
                Alert(
                    fingerprint="x",
                    starts_at=now - (days + 1) * DAY,
                    ends_at=now - days * DAY,
                    resolved=True,
                    labels={},
                    annotations={},
                    generator_url="",
                )
            )

    chores.delete_old()

    models = (Alert, AuditEntry, ClockReading, ImagePull, Process)
    left = {model: count(database, model) for model in models}
    # Of the readings the clock's own one stays, too.
    assert left == {Alert: 1, AuditEntry: 1, ClockReading: 2, ImagePull: 2, Process: 1}
    assert len(exits(database)) == 3


@pytest.mark.parametrize("probes", [True, False])
def test_rounds_are_awaited_anew_where_the_probe_was_off(
    database: Database, environments: Environments, term: Term, probes: bool
) -> None:
    for name in (Report.PROBE, Report.SWEEP):
        with database.writing() as session:
            session.add(AgentReport(name=name, value=0.0, at=utc_now()))
    clock = CautiousClock(database)
    Housekeeping(database, environments, term, clock, 365, probes=probes).delete_old()
    with database.reading() as session:
        left = set(session.scalars(select(AgentReport.name)))
    assert left == {Report.SWEEP, *([Report.PROBE] if probes else [])}


def test_entries_of_synthetic_accounts_go_after_a_week(
    database: Database, chores: Housekeeping, project: str
) -> None:
    now = utc_now()
    with database.writing() as session:
        person = session.scalars(select(User)).one().id
        session.add(User(id="probe", email="p@x.invalid", password_hash="", is_synthetic=True))
        for actor in (person, "probe", None):
            for days in (6, 8):
                entry = AuditEntry(actor_id=actor, actor="x", action="x", target_kind="x")
                entry.at, entry.details = now - days * DAY, {}
                session.add(entry)
    chores.delete_old()
    with database.reading() as session:
        left = Counter(session.scalars(select(AuditEntry.actor_id)))
    assert left == {person: 2, None: 2, "probe": 1}


def test_credentials_that_are_over_for_long_are_deleted(
    database: Database, chores: Housekeeping, project: str
) -> None:
    now = utc_now()
    with database.writing() as session:
        user = session.scalars(select(User)).one().id
        for days in (-1, 0, 2):
            token = AuthToken(user_id=user, grant_id="g", kind="refresh", digest=f"{days}")
            token.expires_at = now - days * DAY
            session.add(token)
        for id, expired, ended in (
            ("alive", -1, None),
            ("ended", -1, 1),
            ("ended long ago", -1, 31),
            ("expired", 1, None),
            ("expired long ago", 31, None),
        ):
            over = None if ended is None else now - ended * DAY
            session.add(Login(id=id, user_id=user, expires_at=now - expired * DAY, ended_at=over))
        for days in (-1, 31):
            session.add(Invitation(digest=f"{days}", expires_at=now - days * DAY))

    chores.delete_old()

    assert count(database, AuthToken) == 2
    assert count(database, Invitation) == 1
    with database.reading() as session:
        assert set(session.scalars(select(Login.id))) == {"alive", "ended", "expired"}


@pytest.fixture
def queue() -> WorkQueue:
    return WorkQueue()


@pytest.fixture
def drift() -> Drift:
    return Drift()


Followed = list[tuple[str, str]]


@pytest.fixture
def followed() -> Followed:
    return []


@pytest.fixture
def sweep(
    database: Database,
    engine: FakeEngine,
    queue: WorkQueue,
    drift: Drift,
    term: Term,
    instance: InstallationId,
    followed: Followed,
) -> Sweep:
    return Sweep(
        database,
        engine,
        queue,
        drift,
        Reports(database, term),
        term,
        instance=instance,
        follow=lambda environment, container: followed.append((environment, container)),
    )


def marked(queue: WorkQueue) -> set[str]:
    """Return what is to be compared."""
    return set(queue._due)


def test_sweep_marks_what_may_differ_and_follows_what_runs(
    database: Database,
    engine: FakeEngine,
    record: MakeRecord,
    container: MakeContainer,
    queue: WorkQueue,
    sweep: Sweep,
    followed: Followed,
) -> None:
    sweep.run()  # the first one looks closely
    held = living(database)
    quiet = record(STOPPED)
    gone = record(RUNNING, container_id="gone")
    lost = record(STOPPED, container_id="gone")
    appeared = record(STOPPED)
    started = container(appeared)
    ended = record(RUNNING)
    engine.containers[container(ended)].status = "exited"
    passing = record(EnvironmentStatus.STARTING, held_by=held)
    container(passing)
    abandoned = record(EnvironmentStatus.STOPPING, held_by="dead")

    sweep.run()

    assert marked(queue) == {gone, lost, appeared, ended, abandoned}
    assert quiet not in marked(queue)
    assert (appeared, started) in followed
    # gone, appeared and ended differ
    assert reported(database) == {Report.DRIFT: 3, Report.SWEEP: 7}


def reported(database: Database) -> dict[str, float]:
    """Return what the leader reported."""
    with database.reading() as session:
        rows = session.execute(select(AgentReport.name, AgentReport.value))
        return {name: value for name, value in rows}


def test_drift_is_reported_when_it_changes_but_not_before_it_is_known(
    database: Database, term: Term, drift: Drift
) -> None:
    reports = Reports(database, term)
    drift.note("a", True)
    drift.report_news(reports)
    assert reported(database) == {}

    drift.report_sweep(reports, 5)
    for environment, differs in (("b", True), ("c", False), ("a", True)):
        drift.note(environment, differs)
    drift.report_news(reports)
    assert reported(database) == {Report.DRIFT: 2, Report.SWEEP: 5}

    term.end()
    drift.note("c", True)
    with pytest.raises(LeadershipLostError):
        drift.report_news(reports)


def test_sweep_removes_orphans_of_its_own_only(
    engine: FakeEngine,
    record: MakeRecord,
    container: MakeContainer,
    sweep: Sweep,
    instance: InstallationId,
) -> None:
    known = container(record(STOPPED))
    orphan = container("no-record", name="orphan")
    others = container("no-record", name="others", instance="another")
    unlabelled = container("no-record", name="unlabelled", instance="")
    for name, owner in (("orphan", instance()), ("others", "another")):
        engine.volumes[name] = {ENVIRONMENT_LABEL: "no-record", INSTANCE_LABEL: owner}

    run_through(sweep.run)

    assert set(engine.containers) == {known, others, unlabelled}
    assert orphan not in engine.containers
    assert set(engine.volumes) == {"others"}


def test_who_was_replaced_removes_nothing(
    database: Database, engine: FakeEngine, container: MakeContainer, sweep: Sweep, term: Term
) -> None:
    container("no-record")
    Leases(database, "leader").release(term.held)

    with pytest.raises(LeadershipLostError):
        sweep.run()

    assert len(engine.containers) == 1


def test_sweep_that_failed_looks_as_closely_again(
    engine: FakeEngine,
    record: MakeRecord,
    container: MakeContainer,
    queue: WorkQueue,
    sweep: Sweep,
    database: Database,
) -> None:
    environment = record(STOPPED)
    made = container(environment)
    engine.containers[made].status = "exited"

    change(database, environment, container_id=made)
    engine.failures["list_containers"] = Failure.UNREACHABLE
    with pytest.raises(EngineUnreachableError):
        sweep.run()
    engine.failures.clear()

    sweep.run()
    assert marked(queue) == {environment}
