"""What the agent is made of, and what a leader does: the one place where its tasks are listed."""

from dataclasses import dataclass

from app.agent import alert_watch
from app.agent.alert_watch import AlertWatch
from app.agent.business import Business
from app.agent.exit_counter import ExitCounter
from app.agent.extensions.build import build_installer
from app.agent.housekeeping import Housekeeping
from app.agent.leader.election import Term
from app.agent.log_intake.intake import LogIntake
from app.agent.log_intake.retention import LogRetention
from app.agent.log_shipping.outbox import Outbox
from app.agent.log_shipping.shipper import Shipper
from app.agent.pace import USUAL, Pace
from app.agent.pulls.pulls import Pulls
from app.agent.reconcile.docker_events import EventFollower
from app.agent.reconcile.drift import Drift
from app.agent.reconcile.event_history import ContainerEventHistory
from app.agent.reconcile.queue import WorkQueue
from app.agent.reconcile.reconciler import Reconciler
from app.agent.reconcile.sweep import Sweep
from app.agent.reconcile.workers import ReconcileWorkers
from app.agent.reports import Reports
from app.agent.sessions.on_start import SessionsOnStart
from app.agent.sessions.reconciler import SessionReconciler
from app.agent.tasks import Task
from app.agent.usage.disk import DiskMeter
from app.agent.usage.meter import Meter
from app.agent.usage.retention import UsageRetention
from app.core.isolation import Loop
from app.core.log_receiver import Receivers
from app.core.settings import Settings
from app.domain.alerts.build import build_heartbeat
from app.domain.durable_counters import DurableCounters
from app.domain.environments.containers import InstallationId
from app.domain.environments.service import Environments
from app.domain.heartbeat import Heartbeat
from app.domain.sessions.build import build_server
from app.domain.usage.disk import DiskLedger
from app.domain.usage.ledger import Ledger
from app.engine import Engine
from app.storage import Database
from app.storage.cautious_clock import CautiousClock
from app.stores.build import build as build_stores


@dataclass(frozen=True)
class Parts:
    """What lives as long as the agent's process.

    `event_history` is what events told so far; `receivers` makes what container logs are sent by.
    """

    settings: Settings
    database: Database
    engine: Engine
    heartbeat: Heartbeat
    environments: Environments
    instance: InstallationId
    event_history: ContainerEventHistory
    clock: CautiousClock
    pulls: Pulls
    pace: Pace = USUAL
    receivers: Receivers | None = None


@dataclass(frozen=True)
class Work:
    """What a leader does in one term."""

    queue: WorkQueue
    workers: ReconcileWorkers
    follower: EventFollower
    sweep: Sweep
    logs: LogIntake
    tasks: list[Task]


def build_logs(parts: Parts, term: Term, counts: DurableCounters) -> LogIntake:
    """Return what takes in the logs in this term."""
    return LogIntake(parts.database, parts.engine, counts, term.fence, lambda: _is_certain(term))


def _is_certain(term: Term) -> bool:
    if not term.is_certain:
        term.end()  # the next one backfills what the metric was not told
    return term.is_certain


def build_work(parts: Parts, term: Term, counts: DurableCounters) -> Work:
    """Return the work of a term; nothing of it runs yet."""
    database, engine = parts.database, parts.engine
    queue, drift, reports = WorkQueue(), Drift(), Reports(database, term)
    logs = build_logs(parts, term, counts)
    meter = Meter(
        database,
        engine,
        Ledger(database, term.fence),
        parts.settings.usage_interval,
        term.over.is_set,
    )
    reconciler = Reconciler(
        database,
        engine,
        parts.event_history,
        instance=parts.instance,
        fence=term.fence,
        on_drift=drift.note,
    )
    sweep = Sweep(
        database,
        engine,
        queue,
        drift,
        reports,
        term,
        instance=parts.instance,
        follow=logs.follow,
    )

    def on_start(environment_id: str, container_id: str) -> None:
        logs.follow(environment_id, container_id)
        meter.read_soon(environment_id, container_id)

    follower = EventFollower(
        engine,
        parts.event_history,
        queue,
        term,
        instance=parts.instance,
        on_gap=sweep.after_gap,
        on_start=on_start,
        on_signal=meter.read_soon,
    )
    return Work(
        queue=queue,
        workers=ReconcileWorkers(reconciler, queue, term),
        follower=follower,
        sweep=sweep,
        logs=logs,
        tasks=[
            *_tasks(parts, term, counts, sweep),
            Task(Loop.DRIFT, parts.pace.drift, lambda: drift.report_news(reports)),
            *_usage(parts, term, meter),
            *_alerting(parts, term),
            *_probing(parts, term, counts),
        ],
    )


def _tasks(parts: Parts, term: Term, counts: DurableCounters, sweep: Sweep) -> list[Task]:
    settings, clock, pace = parts.settings, parts.clock, parts.pace
    chores = Housekeeping(
        parts.database,
        parts.environments,
        term,
        clock,
        settings.audit_retention_days,
        probes=settings.probe != "off",
    )
    retention = LogRetention(
        parts.database,
        clock,
        settings.log_retention_days,
        settings.log_limit_mb,
        ships=parts.receivers is not None,
    )
    exits = ExitCounter(parts.database, counts, term)
    business = Business(parts.database, clock, term.fence, enabled=settings.business)
    return [
        Task(Loop.SWEEP, settings.agent_sweep_interval, sweep.run, sweep.wanted, close=sweep.close),
        Task(Loop.ABANDONED, pace.abandoned, sweep.heal_abandoned),
        Task(Loop.EXITS, pace.counting, exits.run),
        Task(Loop.EXPIRED, pace.expired, chores.end_expired, close=chores.close),
        Task(Loop.HOUSEKEEPING, pace.old, chores.delete_old),
        Task(Loop.LOG_RETENTION, pace.retention, lambda: retention.run(term.over.is_set)),
        Task(Loop.BUSINESS, pace.business, lambda: business.run(term.over.is_set)),
        # A pull outlives the term: the environment is held by this process, which lives on.
        Task(Loop.PULLS, pace.pulls, parts.pulls.run_pending),
        *_session_tasks(parts, term, counts),
        *_shipping(parts, term, counts),
    ]


def _usage(parts: Parts, term: Term, meter: Meter) -> list[Task]:
    """Return the tasks of what environments use."""
    settings = parts.settings
    retention = UsageRetention(
        parts.database,
        parts.clock,
        term.fence,
        hours=settings.usage_hours_days,
        days=settings.usage_days_days,
    )
    ledger = DiskLedger(parts.database, term.fence)
    disk = DiskMeter(parts.engine, ledger, settings.usage_disk_interval, term.end)
    return [
        Task(Loop.USAGE, settings.usage_interval, meter.run, meter.wanted, close=meter.close),
        Task(Loop.USAGE_DISK, parts.pace.usage_disk, disk.run, close=disk.close),
        Task(
            Loop.USAGE_RETENTION,
            parts.pace.usage_retention,
            lambda: retention.run(term.over.is_set),
        ),
    ]


def _alerting(parts: Parts, term: Term) -> list[Task]:
    """Return the task that misses the heartbeat of alerting, where one is expected."""
    settings, database = parts.settings, parts.database
    seconds = alert_watch.interval(settings)
    if seconds is None:
        return []
    heartbeat = build_heartbeat(settings, database)
    watch = AlertWatch(database, heartbeat, build_stores(settings), term)
    return [Task(Loop.ALERTING, seconds, watch.run)]


def _probing(parts: Parts, term: Term, counts: DurableCounters) -> list[Task]:
    """Return the task of the synthetic user, where there is one."""
    if parts.settings.probe == "off":
        return []
    # With a client of WebSockets, which an agent without it has no use for.
    from app.agent.probe import LOOKS, Probe

    probe = Probe(parts.settings, parts.database, counts, term)
    return [Task(Loop.PROBE, LOOKS, probe.run)]


def _shipping(parts: Parts, term: Term, counts: DurableCounters) -> list[Task]:
    """Return the task that sends container logs, where they are to be sent."""
    if parts.receivers is None:
        return []
    outbox = Outbox(
        parts.database,
        counts,
        term.fence,
        lambda: _is_certain(term),
        with_team=parts.settings.container_logs_team,
    )
    shipper = Shipper(outbox, parts.receivers(term.over), term.over.is_set)
    return [Task(Loop.LOG_SHIPPING, parts.pace.shipping, shipper.run, close=shipper.close)]


def _session_tasks(parts: Parts, term: Term, counts: DurableCounters) -> list[Task]:
    """Return the tasks that run something in containers."""
    settings, database, engine = parts.settings, parts.database, parts.engine
    server = build_server(settings)
    idle = settings.session_idle_timeout
    sessions = SessionReconciler(
        database, engine, parts.clock, idle, term.fence, server, on_lost=term.end
    )
    on_start = SessionsOnStart(database, engine, server, term.fence, on_lost=term.end)
    extensions = build_installer(settings, database, engine, counts, term)
    looking = min(parts.pace.sessions, idle / 4)
    tasks = [
        Task(Loop.SESSIONS, looking, sessions.run, close=sessions.close),
        Task(Loop.EXTENSIONS, parts.pace.extensions, extensions.run, close=extensions.close),
    ]
    if settings.sessions_on_start:
        serving = Task(
            Loop.SESSIONS_ON_START, parts.pace.on_start, on_start.run, close=on_start.close
        )
        tasks.append(serving)
    return tasks
