"""Every metric family of VibeBox beside those that `prefork_metrics` declares under its prefix.

Nothing else creates a metric. Names are `vibebox_<noun>_<what>_<unit>`; durations are seconds,
sizes bytes. Each entry says what moves it, and a test with a real server asserts exactly that.
Gauges written by processes have mode livesum, livemax or livemostrecent: never one series a
process, and nothing stays behind of a process that ended. Buckets reach past every threshold that
an alert uses.
The reference table in monitoring/README.md is generated from the registry.
"""

from prometheus_client import CollectorRegistry

from app.core.errors import Limit
from app.core.isolation import ROUNDS, Loop
from app.engine import OPERATIONS
from app.storage import (
    Base,
    EnvironmentStatus,
    ExitReason,
    LogStream,
    ProbeStep,
    SessionStatus,
    SessionType,
)
from prefork_metrics.registry import Registry

registry = Registry(
    "vibebox",
    # Of our own, so that what a library puts on the default one does not mix in.
    client=CollectorRegistry(auto_describe=False),
    roles=("web", "agent"),
    collectors=("inventory",),
    models=Base.metadata.tables,
)
# Declared at once, so that the reference table has them.
REQUESTS = registry.requests
DATABASE = registry.database
PROCESS = registry.process
SERVER = registry.server

DOCKER_OPERATIONS = tuple(dict.fromkeys(OPERATIONS.values()))
OUTCOMES = ("success", "failure")
AUTHENTICATION_METHODS = ("password", "token", "refresh", "api_key", "websocket")
REGISTRATION_WAYS = ("open", "invitation", "first")
REGISTRATION_OUTCOMES = ("created", "taken", "refused", "limited")
ENVIRONMENT_STATUSES = tuple(EnvironmentStatus)
CHECKS = ("database", "docker", "agent", "disk")
CLIENT_PHASES = ("receive", "send")
CUT_OFF_REASONS = ("head", "body", "answer", "room")
START_OUTCOMES = ("success", "user_error", "failure")
ENVIRONMENT_EXIT_REASONS = tuple(ExitReason)
LOG_STREAMS = tuple(LogStream)
LOOPS = tuple(Loop)
PROBE_STEPS = tuple(ProbeStep)
NO_STEP = "none"
SESSION_TYPES = tuple(SessionType)
SESSION_STATUSES = tuple(SessionStatus)
USER_STATES = ("registered", "active_24h", "active_7d")
SIGNUP_WAYS = ("open", "invitation", "first", "command_line", "unknown")
MILESTONES = ("environment", "started", "terminal", "vscode", "shell", "second_week")
FUNNEL_STEPS = ("signed_up", "environment", "started", "shell", "second_week")
SHELL_SECONDS = ("60", "300", "900", "3600", "14400", "86400", "604800")
ACTIVE_DAYS = ("1", "7", "30")
SECOND_WEEKS = ("over", "returned")
MESSAGE_DIRECTIONS = ("in", "out")
SPAN_RESULTS = ("recorded", "dropped", "exported", "rejected", "failed", "doubtful")
RECORD_RESULTS = ("dropped", "exported", "rejected", "failed", "doubtful")
CONTAINER_LINE_RESULTS = ("accepted", "rejected", "refused", "doubtful", "lost")
POINT_RESULTS = ("accepted", "rejected", "refused", "doubtful")
SOCKET_KINDS = ("terminal", "logs", "status")


http_client_wait = registry.histogram(
    "http_client_wait_seconds",
    "Time that clients took to send their requests and to take the answers.",
    {"phase": CLIENT_PHASES},
    "each request that was not there at once (receive), each answer that was not taken at once "
    "(send); no part of the duration of a request",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    native=True,
)
docker_operations = registry.counter(
    "docker_operations_total",
    "Calls of Docker Engine.",
    {"operation": DOCKER_OPERATIONS, "status": OUTCOMES},
    "each call through the Docker gateway; a missing container, a conflict and a command's exit "
    "code other than 0 are answers, not failures",
)
docker_operation_duration = registry.histogram(
    "docker_operation_duration_seconds",
    "Duration of calls of Docker Engine, failed ones too.",
    {"operation": DOCKER_OPERATIONS},
    "the same calls",
    # A pull takes minutes; its deadline is 600 s.
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
    native=True,
)
auth_attempts = registry.counter(
    "auth_attempts_total",
    "Authentications.",
    {"method": AUTHENTICATION_METHODS, "status": OUTCOMES},
    "each check of a password, an access token, a refresh token, an API key or a ticket for a "
    "WebSocket, and each attempt that the rate limit refuses; a request that offers no credentials "
    "is none",
)
registrations = registry.counter(
    "registrations_total",
    "Requests for an account.",
    {"way": REGISTRATION_WAYS, "outcome": REGISTRATION_OUTCOMES},
    "each request to register whose fields are right; way: open, by an invitation, or by the link "
    "for the first account; outcome: created, taken (the address has an account), refused "
    "(registration is closed, or the invitation not good), limited (too many of one address, or "
    "in all)",
)
environment_start_duration = registry.histogram(
    "environment_start_duration_seconds",
    "Time from the accepted request to a container that answers an exec, pulls included.",
    {"outcome": START_OUTCOMES},
    "each start that came to its end; user_error: what the user asked for cannot be (no such "
    "image, a command that ends, a port that is taken); failure: Docker or VibeBox",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
    native=True,
)
environment_exits = registry.counter(
    "environment_exits_total",
    "Containers of environments that ended.",
    {"reason": ENVIRONMENT_EXIT_REASONS},
    "each run of a container that ended, once. user: asked for through VibeBox; oom: short of its "
    "memory; killed: a signal that VibeBox did not send; completed, error: its command, with exit "
    "code 0 or another",
)
extension_installations = registry.counter(
    "extension_installations_total",
    "Installations of extensions of VS Code that came to their end.",
    {"status": OUTCOMES},
    "each, by the exit code of the command in the container; one that did not end in time, or that "
    "there was no program for, is a failure",
)
agent_failures = registry.counter(
    "agent_failures_total",
    "Failures in what is done again and again, by loop.",
    {"task": LOOPS},
    "each time that work on an item fails or does not end in time, by itself and not for want of "
    "the database or of Docker; an item that goes on failing is tried again after 10 s at first "
    "and 5 minutes at last. streams and presence are the web's too",
)
agent_task_success = registry.gauge(
    "agent_task_last_success_timestamp_seconds",
    "When a loop of the leading agent last came round, in seconds since 1970.",
    {"task": ROUNDS},
    "the end of each round that did not fail as a whole, whatever became of single items",
    multiprocess_mode="livemostrecent",
)
log_entries = registry.counter(
    "log_entries_total",
    "Lines that containers wrote and VibeBox stored.",
    {"stream": LOG_STREAMS},
    "each line that the agent stores, once, whoever reads it and however often",
)
websocket_connections = registry.gauge(
    "websocket_connections",
    "Open WebSockets over all workers.",
    {},
    "+1 when a handshake is answered, -1 when that WebSocket is closed, however it ends",
    multiprocess_mode="livesum",
)
websocket_connections_limit = registry.gauge(
    "websocket_connections_limit",
    "WebSockets that the workers would hold at once.",
    {},
    "the start of a worker",
    multiprocess_mode="livesum",
)
spans = registry.counter(
    "spans_total",
    "Spans of traces that are kept, by what became of them.",
    {"result": SPAN_RESULTS},
    "recorded: a kept trace is handed over to the exporter; dropped: its ring had no room; "
    "exported: the receiver has accepted it; rejected: it has not; failed: it could not be sent; "
    "doubtful: nobody knows whether it has, and it is sent again: it may be there twice",
)
log_records = registry.counter(
    "log_records_total",
    "Lines of the service's log on their way to a receiver, by what became of them.",
    {"result": RECORD_RESULTS},
    "exported: the receiver has accepted it; dropped: there was no room for it; rejected: the "
    "receiver has left it out; failed: it could not be sent",
)
shipped_lines = registry.counter(
    "container_log_lines_total",
    "Lines of containers on their way to a receiver, by what became of them.",
    {"result": CONTAINER_LINE_RESULTS},
    "accepted: the receiver took it; rejected, refused: it never will, alone or with its request; "
    "doubtful: nobody knows, and it is sent again; lost: it was deleted before it was sent",
)
pushed_points = registry.counter(
    "otlp_points_total",
    "Data points of metrics that are pushed, by what became of them.",
    {"result": POINT_RESULTS},
    "accepted: the receiver took it; rejected, refused: it never will, alone or with its request; "
    "doubtful: nobody knows, and it is sent again",
)
websocket_messages = registry.counter(
    "websocket_messages_total",
    "Messages over WebSockets.",
    {"direction": MESSAGE_DIRECTIONS, "kind": SOCKET_KINDS},
    "each whole message that a client sent (in) or that was accepted for one (out); pings and "
    "closes are none",
)
limit_refusals = registry.counter(
    "limit_refusals_total",
    "Requests that a limit refused.",
    {"limit": tuple(Limit)},
    "each answer (429, 503 or 409) that says so; those that begin with server_ or host_ are limits "
    "of all together, the others of one account or team",
)
probe_rounds = registry.counter(
    "probe_rounds_total",
    "Rounds of the synthetic user.",
    {"outcome": OUTCOMES},
    "each that came to its end, by the agent or by `vibebox probe`, within seconds; none where "
    "VIBEBOX_PROBE is off",
)
probe_failures = registry.counter(
    "probe_failures_total",
    "Rounds of the synthetic user that failed, by the step at which they did.",
    {"step": PROBE_STEPS},
    "the same rounds",
)
probe_step_duration = registry.histogram(
    "probe_step_duration_seconds",
    "Duration of the steps of the synthetic user, the one that failed too.",
    {"step": PROBE_STEPS},
    "each step of the same rounds",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
build_info = registry.gauge(
    "build_info",
    "Versions of what is running; the value is 1.",
    {"version": None, "python": None, "gunicorn": None, "flask": None},
    "the start of a process",
    multiprocess_mode="livemax",
)

clients_cut_off = registry.counter(
    "clients_cut_off_total",
    "Connections that were ended because of their client.",
    {"reason": CUT_OFF_REASONS},
    "each. head, body: it took too long to send those; answer: to take the answer; room: there "
    "were too many connections, and it had no request under way, or one that did not come",
)
health_check_up = registry.gauge(
    "health_check_up",
    "Whether the last run of a check found its dependency well.",
    {"check": CHECKS, "required": ("true", "false")},
    "each run of a check: for a probe, and every 15 s of the service's own accord",
    multiprocess_mode="livemostrecent",
)
health_check_duration = registry.histogram(
    "health_check_duration_seconds",
    "Duration of health checks, up to their deadline.",
    {"check": CHECKS},
    "the same runs",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 0.8, 1, 2),
)

environments_total = registry.computed(
    "environments_total",
    "Environments by status (the name that dashboards know).",
    {"status": ENVIRONMENT_STATUSES},
    "rows by status at scrape time; the same whichever worker answers",
)
environments = registry.computed(
    "environments",
    "Environments by status.",
    {"status": ENVIRONMENT_STATUSES},
    "the same",
)
_SESSION = {"type": SESSION_TYPES, "status": SESSION_STATUSES}
sessions_total = registry.computed(
    "sessions_total",
    "Sessions by type and status (the name that dashboards know).",
    _SESSION,
    "rows at scrape time; terminated: those that ended in the past 24 h",
)
sessions = registry.computed(
    "sessions",
    "Sessions by type and status.",
    _SESSION,
    "the same",
)
users = registry.computed(
    "users",
    "Accounts of people.",
    {"state": USER_STATES},
    "rows at scrape time; active: authenticated in that time, by whatever means",
)
agent_leading = registry.computed(
    "agent_leading",
    "Whether an agent leads.",
    {},
    "its lease in the database, by the database's clock, at scrape time; 0 also where no agent "
    "lives to say so",
)
agent_sweep_age = registry.computed(
    "agent_sweep_age_seconds",
    "Time since an agent has last compared all records with Docker.",
    {},
    "each sweep, which reports to the database; at scrape time, so that it grows when nobody "
    "sweeps, and is +Inf before the first one",
)
alerting_heartbeat_age = registry.computed(
    "alerting_heartbeat_age_seconds",
    "Time since the last heartbeat of alerting (the alert Watchdog) has come by Alertmanager.",
    {},
    "each one that tells something new, which is kept in the database; at scrape time, so that it "
    "grows when none comes, and is +Inf before the first one",
)
probe_failed_step = registry.computed(
    "probe_failed_step",
    "Whether this is the step at which the last round of the synthetic user failed.",
    {"step": (*PROBE_STEPS, NO_STEP)},
    "each round, which is kept in the database; exactly one is 1, none where it did not fail; "
    "shown where VIBEBOX_PROBE is not off",
)
probe_success_age = registry.computed(
    "probe_last_success_age_seconds",
    "Time since the synthetic user has last come through all its steps.",
    {},
    "each round that succeeds, which is kept in the database; at scrape time, so that it grows "
    "where none does; before the first one since rounds are awaited, which begins anew where "
    "VIBEBOX_PROBE was off",
)
probe_interval = registry.computed(
    "probe_interval_seconds",
    "Time from one round of the synthetic user to the next, by the settings.",
    {},
    "VIBEBOX_PROBE_INTERVAL; shown where VIBEBOX_PROBE is not off",
)
environment_drift = registry.computed(
    "environment_drift",
    "Environments whose recorded status differs from Docker's.",
    {},
    "each comparison by the agent, within a second; 0 again when the records are mended; what the "
    "last agent found where none leads",
)
_BUSINESS = "each round of the leading agent, from the audit log; deleted accounts included"
business_signups = registry.computed(
    "business_signups",
    "Accounts that were made, by way.",
    {"way": SIGNUP_WAYS},
    f"{_BUSINESS}; unknown: from before the audit log",
)
business_accounts = registry.computed(
    "business_accounts",
    "Accounts that have come to a milestone, whatever came before it.",
    {"milestone": MILESTONES},
    f"{_BUSINESS}; shell: a terminal or VS Code; second_week: an act 7 to 14 days after sign-up",
)
business_funnel = registry.computed(
    "business_funnel",
    "Accounts that have come to a step and to all before it.",
    {"step": FUNNEL_STEPS},
    _BUSINESS,
)
business_shell_accounts = registry.computed(
    "business_shell_accounts",
    "Accounts that had a usable shell within so many seconds of their sign-up.",
    {"within_seconds": SHELL_SECONDS},
    _BUSINESS,
)
business_shell_seconds = registry.computed(
    "business_shell_seconds",
    "Time from sign-up to the first usable shell, of all accounts that had one together.",
    {},
    _BUSINESS,
)
business_active = registry.computed(
    "business_active_accounts",
    "Accounts with an act in the audit log, within so many days that end with the last finished "
    "one (UTC).",
    {"days": ACTIVE_DAYS},
    "an hour after the end of each day, for good",
)
business_second_week = registry.computed(
    "business_second_week_accounts",
    "Accounts whose second week was over at the end of the last finished day, and how many of "
    "them came back in it.",
    {"state": SECOND_WEEKS},
    "an hour after the end of each day, for good",
)


def create_expected(*, with_probe: bool = False) -> None:
    """Create at 0 every combination that does not depend on the application's routes.

    A counter born at 1 has an increase of 0, and an alert on a series that does not exist yet
    sees nothing: so all of them exist from the start. Histograms of calls follow their counters.
    """
    for counter in (
        docker_operations,
        auth_attempts,
        registrations,
        environment_exits,
        extension_installations,
        agent_failures,
        log_entries,
        spans,
        log_records,
        shipped_lines,
        pushed_points,
        websocket_messages,
        clients_cut_off,
        limit_refusals,
        registry.scrape.collect_errors,
        SERVER.worker_exits,
    ):
        counter.create_all()
    if with_probe:
        probe_rounds.create_all()
        probe_failures.create_all()
    for gauge in (
        REQUESTS.active,
        DATABASE.pool_size,
        DATABASE.pool_utilization,
        SERVER.threads,
        SERVER.queue_depth,
        SERVER.client_connections,
        websocket_connections,
        websocket_connections_limit,
    ):
        gauge.create_all()
    docker_operation_duration.create_all()
    environment_start_duration.create_all()
    PROCESS.gc_duration.create_all()
    REQUESTS.queue_wait.create_all()
    http_client_wait.create_all()
    for family in registry.families:
        if any(values is not None for values in family.labels.values()):
            registry.scrape.label_overflow.child(family.name)


def reference_table() -> str:
    """Return all families as a Markdown table, in the order of their declaration."""
    return registry.reference_table()
