"""Every metric family of VibeBox; nothing else creates a metric.

Names are `vibebox_<noun>_<what>_<unit>`; durations are seconds, sizes bytes. Each entry says what
moves it, and a test with a real server asserts exactly that. Gauges written by processes have
mode livesum, livemax or livemostrecent: never one series a process, and nothing stays behind of a
process that ended. Buckets reach past every threshold that an alert uses.
The reference table in monitoring/README.md is generated from this module.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.core.errors import Limit
from app.core.isolation import ROUNDS, Loop
from app.engine import OPERATIONS
from app.metrics import values
from app.metrics.directory import State, Trouble
from app.metrics.family import OTHER, Computed, CounterFamily, Family, GaugeFamily, HistogramFamily
from app.storage import (
    Base,
    EnvironmentStatus,
    ExitReason,
    LogStream,
    SessionStatus,
    SessionType,
)

values.install()

# A registry of our own, so that what a library puts on the default one does not mix in.
registry = CollectorRegistry(auto_describe=False)

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
OTHER_METHOD = "OTHER"
STATUS_CODES = tuple(str(code) for code in range(100, 600))
ERROR_TYPES = ("client_error", "server_error", "unhandled_exception", "timeout")
DOCKER_OPERATIONS = tuple(dict.fromkeys(OPERATIONS.values()))
OUTCOMES = ("success", "failure")
AUTHENTICATION_METHODS = ("password", "token", "refresh", "api_key", "websocket")
REGISTRATION_WAYS = ("open", "invitation", "first")
REGISTRATION_OUTCOMES = ("created", "taken", "refused", "limited")
STATEMENTS = ("select", "insert", "update", "delete", OTHER)
MODELS = (*Base.metadata.tables, OTHER)
POOL_STATES = ("active", "idle", "overflow", "max")
ENVIRONMENT_STATUSES = tuple(EnvironmentStatus)
CHECKS = ("database", "docker", "agent", "disk")
COLLECTORS = ("inventory", "files", "format", "runtime", "values")
ROLES = ("web", "agent")
CPU_MODES = ("user", "system")
GENERATIONS = ("0", "1", "2")
THREAD_STATES = ("busy", "total")
CLIENT_PHASES = ("receive", "send")
CLIENT_STATES = ("idle", "receiving", "queued", "serving", "sending", "closing")
CUT_OFF_REASONS = ("head", "body", "answer", "room")
START_OUTCOMES = ("success", "user_error", "failure")
ENVIRONMENT_EXIT_REASONS = tuple(ExitReason)
LOG_STREAMS = tuple(LogStream)
LOOPS = tuple(Loop)
SESSION_TYPES = tuple(SessionType)
SESSION_STATUSES = tuple(SessionStatus)
USER_STATES = ("registered", "active_24h", "active_7d")
MESSAGE_DIRECTIONS = ("in", "out")
SOCKET_KINDS = ("terminal", "logs", "status")
EXIT_REASONS = ("recycled", "reloaded", "timeout", "killed", "crashed", "shutdown")

_HTTP = {"method": (*METHODS, OTHER_METHOD), "route": None, "status_code": STATUS_CODES}

http_requests = CounterFamily(
    Counter,
    "vibebox_http_requests_total",
    "HTTP requests answered.",
    _HTTP,
    "each HTTP request when its response is finished, streamed and aborted ones too, and what the "
    "server refuses without asking the application; route is the URL rule or `unmatched`, "
    "status_code the one sent or intended; a WebSocket is its handshake, 101",
    registry=registry,
)
http_request_duration = HistogramFamily(
    Histogram,
    "vibebox_http_request_duration_seconds",
    "Time of a request: its wait for a thread, and the work on it.",
    _HTTP,
    "the same moment; from when the whole request was there, without the time in which its client "
    "was waited for; handshakes of WebSockets are left out",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=registry,
)
http_queue_wait = HistogramFamily(
    Histogram,
    "vibebox_http_queue_wait_seconds",
    "Time that requests waited for a thread.",
    {},
    "each request but those of /health, when its response is finished; a part of its duration",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=registry,
)
http_client_wait = HistogramFamily(
    Histogram,
    "vibebox_http_client_wait_seconds",
    "Time that clients took to send their requests and to take the answers.",
    {"phase": CLIENT_PHASES},
    "each request that was not there at once (receive), each answer that was not taken at once "
    "(send); no part of the duration of a request",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=registry,
)
active_connections = GaugeFamily(
    Gauge,
    "vibebox_active_connections",
    "HTTP requests being served now.",
    {},
    "+1 when a request starts, -1 when its response is finished; a scrape does not count itself, "
    "and a WebSocket is none",
    multiprocess_mode="livesum",
    registry=registry,
)
api_errors = CounterFamily(
    Counter,
    "vibebox_api_errors_total",
    "HTTP responses of 400 and above.",
    {"type": ERROR_TYPES, "route": None, "status_code": STATUS_CODES},
    "each response of 400 and above; type is timeout for 408 and 504, unhandled_exception where "
    "the code raised what nobody foresaw",
    registry=registry,
)
docker_operations = CounterFamily(
    Counter,
    "vibebox_docker_operations_total",
    "Calls of Docker Engine.",
    {"operation": DOCKER_OPERATIONS, "status": OUTCOMES},
    "each call through the Docker door; a missing container, a conflict and a command's non-zero "
    "exit are answers, not failures",
    registry=registry,
)
docker_operation_duration = HistogramFamily(
    Histogram,
    "vibebox_docker_operation_duration_seconds",
    "Duration of calls of Docker Engine, failed ones too.",
    {"operation": DOCKER_OPERATIONS},
    "the same calls",
    # A pull takes minutes; its deadline is 600 s.
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
    registry=registry,
)
db_query_duration = HistogramFamily(
    Histogram,
    "vibebox_db_query_duration_seconds",
    "Duration of SQL statements, failed ones too.",
    {"operation": STATEMENTS, "model": MODELS},
    "each statement, except those of probes and scrapes, which come every few seconds whether or "
    "not anybody uses the service",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=registry,
)
db_pool_size = GaugeFamily(
    Gauge,
    "vibebox_db_connection_pool_size",
    "Database connections of all live processes.",
    {"state": POOL_STATES},
    "connections opened, closed, taken from and returned to the pool; active includes overflow",
    multiprocess_mode="livesum",
    registry=registry,
)
db_pool_utilization = GaugeFamily(
    Gauge,
    "vibebox_db_connection_pool_utilization",
    "Active connections over allowed ones in the fullest process.",
    {},
    "the same moments",
    multiprocess_mode="livemax",
    registry=registry,
)
auth_attempts = CounterFamily(
    Counter,
    "vibebox_auth_attempts_total",
    "Authentications.",
    {"method": AUTHENTICATION_METHODS, "status": OUTCOMES},
    "each check of a password, an access token, a refresh token, an API key or a ticket for a "
    "WebSocket, and each attempt that the rate limit refuses; a request that offers no credentials "
    "is none",
    registry=registry,
)
registrations = CounterFamily(
    Counter,
    "vibebox_registrations_total",
    "Requests for an account.",
    {"way": REGISTRATION_WAYS, "outcome": REGISTRATION_OUTCOMES},
    "each request to register whose fields are right; way: open, by an invitation, or by the link "
    "for the first account; outcome: created, taken (the address has an account), refused "
    "(registration is closed, or the invitation not good), limited (too many of one address, or "
    "in all)",
    registry=registry,
)
environment_start_duration = HistogramFamily(
    Histogram,
    "vibebox_environment_start_duration_seconds",
    "Time from the accepted request to a container that answers an exec, pulls included.",
    {"outcome": START_OUTCOMES},
    "each start that came to its end; user_error: what the user asked for cannot be (no such "
    "image, a command that ends, a port that is taken); failure: Docker or VibeBox",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
    registry=registry,
)
environment_exits = CounterFamily(
    Counter,
    "vibebox_environment_exits_total",
    "Containers of environments that ended.",
    {"reason": ENVIRONMENT_EXIT_REASONS},
    "each run of a container that ended, once. user: asked for through VibeBox; oom: short of its "
    "memory; killed: a signal that VibeBox did not send; completed, error: its command, with exit "
    "code 0 or another",
    registry=registry,
)
extension_installations = CounterFamily(
    Counter,
    "vibebox_extension_installations_total",
    "Installations of extensions of VS Code that came to their end.",
    {"status": OUTCOMES},
    "each, by the exit code of the command in the container; one that did not end in time, or that "
    "there was no program for, is a failure",
    registry=registry,
)
agent_failures = CounterFamily(
    Counter,
    "vibebox_agent_failures_total",
    "Failures in what is done again and again, by loop.",
    {"task": LOOPS},
    "each time that work on an item fails or does not end in time, by itself and not for want of "
    "the database or of Docker; an item that goes on failing is tried again after 10 s at first "
    "and 5 minutes at last. streams and presence are the web's too",
    registry=registry,
)
agent_task_success = GaugeFamily(
    Gauge,
    "vibebox_agent_task_last_success_timestamp_seconds",
    "When a loop of the leading agent last came round, in seconds since 1970.",
    {"task": ROUNDS},
    "the end of each round that did not fail as a whole, whatever became of single items",
    multiprocess_mode="livemostrecent",
    registry=registry,
)
log_entries = CounterFamily(
    Counter,
    "vibebox_log_entries_total",
    "Lines that containers wrote and VibeBox stored.",
    {"stream": LOG_STREAMS},
    "each line that the agent stores, once, whoever reads it and however often",
    registry=registry,
)
websocket_connections = GaugeFamily(
    Gauge,
    "vibebox_websocket_connections",
    "Open WebSockets over all workers.",
    {},
    "+1 when a handshake is answered, -1 when that WebSocket is closed, however it ends",
    multiprocess_mode="livesum",
    registry=registry,
)
websocket_connections_limit = GaugeFamily(
    Gauge,
    "vibebox_websocket_connections_limit",
    "WebSockets that the workers would hold at once.",
    {},
    "the start of a worker",
    multiprocess_mode="livesum",
    registry=registry,
)
websocket_messages = CounterFamily(
    Counter,
    "vibebox_websocket_messages_total",
    "Messages over WebSockets.",
    {"direction": MESSAGE_DIRECTIONS, "kind": SOCKET_KINDS},
    "each whole message that a client sent (in) or that was accepted for one (out); pings and "
    "closes are none",
    registry=registry,
)
limit_refusals = CounterFamily(
    Counter,
    "vibebox_limit_refusals_total",
    "Requests that a limit refused.",
    {"limit": tuple(Limit)},
    "each answer (429, 503 or 409) that says so; those that begin with server_ or host_ are limits "
    "of all together, the others of one account or team",
    registry=registry,
)
build_info = GaugeFamily(
    Gauge,
    "vibebox_build_info",
    "Versions of what is running; the value is 1.",
    {"version": None, "python": None, "gunicorn": None, "flask": None},
    "the start of a process",
    multiprocess_mode="livemax",
    registry=registry,
)
_PROCESS = {"role": ROLES, "worker": None}
_WORKER = {"worker": None}

process_cpu = CounterFamily(
    Counter,
    "vibebox_process_cpu_seconds_total",
    "CPU time used by the processes that had this slot.",
    {**_PROCESS, "mode": CPU_MODES},
    "each second, by what the process used since; worker is a slot (master, web-0, agent), which "
    "the next process in that place takes over",
    registry=registry,
)
process_rss = GaugeFamily(
    Gauge,
    "vibebox_process_resident_memory_bytes",
    "Resident memory, shared pages in full.",
    _PROCESS,
    "each second, from /proc",
    multiprocess_mode="livemostrecent",
    registry=registry,
)
process_pss = GaugeFamily(
    Gauge,
    "vibebox_process_proportional_memory_bytes",
    "Resident memory, each shared page divided by its users.",
    _PROCESS,
    "every 5 s, from /proc; the sum over the slots is what the service uses",
    multiprocess_mode="livemostrecent",
    registry=registry,
)
memory_limit = GaugeFamily(
    Gauge,
    "vibebox_memory_limit_bytes",
    "Memory that the control group allows, or the host has.",
    {"role": ROLES},
    "every 5 s, from the control groups of version 1 or 2",
    multiprocess_mode="livemax",
    registry=registry,
)
memory_usage = GaugeFamily(
    Gauge,
    "vibebox_memory_usage_bytes",
    "Memory in use by everything that the limit of this role holds for.",
    {"role": ROLES},
    "the same moments; of the control group whose limit is shown, all its processes, without "
    "pages of files that the kernel takes back first; or of the host",
    multiprocess_mode="livemax",
    registry=registry,
)
cpu_limit = GaugeFamily(
    Gauge,
    "vibebox_cpu_limit_cores",
    "Cores that the control group allows, or the host has.",
    {"role": ROLES},
    "the same moments",
    multiprocess_mode="livemax",
    registry=registry,
)
process_open_fds = GaugeFamily(
    Gauge,
    "vibebox_process_open_fds",
    "Open file descriptors.",
    _WORKER,
    "each second, from /proc",
    multiprocess_mode="livemostrecent",
    registry=registry,
)
process_max_fds = GaugeFamily(
    Gauge,
    "vibebox_process_max_fds",
    "File descriptors that the process may open (soft limit).",
    _WORKER,
    "each second",
    multiprocess_mode="livemostrecent",
    registry=registry,
)
process_threads = GaugeFamily(
    Gauge,
    "vibebox_process_threads",
    "Threads of every kind.",
    _WORKER,
    "each second, from /proc",
    multiprocess_mode="livemostrecent",
    registry=registry,
)
process_start_time = GaugeFamily(
    Gauge,
    "vibebox_process_start_time_seconds",
    "Start of the process in seconds since 1970.",
    _WORKER,
    "the start of a process in the slot",
    multiprocess_mode="livemostrecent",
    registry=registry,
)
gc_collections = CounterFamily(
    Counter,
    "vibebox_python_gc_collections_total",
    "Runs of Python's garbage collector.",
    {**_WORKER, "generation": GENERATIONS},
    "each collection, counted within a second",
    registry=registry,
)
gc_collected_objects = CounterFamily(
    Counter,
    "vibebox_python_gc_collected_objects_total",
    "Objects that Python's garbage collector freed.",
    {**_WORKER, "generation": GENERATIONS},
    "the same collections",
    registry=registry,
)
gc_duration = HistogramFamily(
    Histogram,
    "vibebox_python_gc_duration_seconds",
    "Pause of each garbage collection.",
    {"generation": GENERATIONS},
    "the same collections",
    buckets=(0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1),
    registry=registry,
)
scheduling_lag = HistogramFamily(
    Histogram,
    "vibebox_scheduling_lag_seconds",
    "How late a thread wakes up that asked to sleep 100 ms.",
    {},
    "each wake-up of that thread, in workers and agent; one that is late by L counts as L, "
    "L - 0.1, L - 0.2 and so on above 0, once for each 100 ms missed",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 10),
    registry=registry,
)
worker_threads = GaugeFamily(
    Gauge,
    "vibebox_worker_threads",
    "Request threads of all workers.",
    {"state": THREAD_STATES},
    "each second; a scrape does not count itself among the busy",
    multiprocess_mode="livesum",
    registry=registry,
)
worker_queue_depth = GaugeFamily(
    Gauge,
    "vibebox_worker_queue_depth",
    "Requests that wait inside the workers for a thread.",
    {},
    "each second",
    multiprocess_mode="livesum",
    registry=registry,
)
http_oldest_request = GaugeFamily(
    Gauge,
    "vibebox_http_oldest_request_seconds",
    "How long a thread has served the oldest request.",
    {},
    "each second; streams, WebSockets and what waits for a start are left out",
    multiprocess_mode="livemax",
    registry=registry,
)
client_connections = GaugeFamily(
    Gauge,
    "vibebox_client_connections",
    "Connections of clients over all workers.",
    {"state": CLIENT_STATES},
    "each second. idle: no request under way; receiving: a part of one has come; queued: it waits "
    "for a thread; serving: a thread has it; sending: its client takes the answer; closing: the "
    "client is to hang up",
    multiprocess_mode="livesum",
    registry=registry,
)
client_connections_limit = GaugeFamily(
    Gauge,
    "vibebox_client_connections_limit",
    "Connections that the workers would hold at once.",
    {},
    "the same moments; less than the setting where a process may open few descriptors",
    multiprocess_mode="livesum",
    registry=registry,
)
clients_cut_off = CounterFamily(
    Counter,
    "vibebox_clients_cut_off_total",
    "Connections that were ended because of their client.",
    {"reason": CUT_OFF_REASONS},
    "each. head, body: it took too long to send those; answer: to take the answer; room: there "
    "were too many connections, and it had no request under way, or one that did not come",
    registry=registry,
)
accept_queue_depth = GaugeFamily(
    Gauge,
    "vibebox_accept_queue_depth",
    "Connections that wait on the listening socket.",
    {},
    "each second; of several sockets the fullest, Unix sockets left out",
    multiprocess_mode="livemax",
    registry=registry,
)
accept_queue_limit = GaugeFamily(
    Gauge,
    "vibebox_accept_queue_limit",
    "Connections that may wait on the listening socket.",
    {},
    "the same moments",
    multiprocess_mode="livemax",
    registry=registry,
)
workers = GaugeFamily(
    Gauge,
    "vibebox_workers",
    "Live web workers.",
    {},
    "start and end of a web worker",
    multiprocess_mode="livesum",
    registry=registry,
)
worker_exits = CounterFamily(
    Counter,
    "vibebox_worker_exits_total",
    "Web workers that ended.",
    {"reason": EXIT_REASONS},
    "each worker that the master reaps. timeout: the master's heartbeat check gave it up; crashed: "
    "an exit code, or a fault (SIGSEGV, SIGBUS, …); reloaded, shutdown: the master asked it to, on "
    "a reload or else; recycled: it reached max_requests; killed: a signal that the master did not "
    "send (the kernel short of memory, an operator)",
    registry=registry,
)
health_check_up = GaugeFamily(
    Gauge,
    "vibebox_health_check_up",
    "Whether the last run of a check found its dependency well.",
    {"check": CHECKS, "required": ("true", "false")},
    "each run of a check: for a probe, and every 15 s of the service's own accord",
    multiprocess_mode="livemostrecent",
    registry=registry,
)
health_check_duration = HistogramFamily(
    Histogram,
    "vibebox_health_check_duration_seconds",
    "Duration of health checks, up to their deadline.",
    {"check": CHECKS},
    "the same runs",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 0.8, 1, 2),
    registry=registry,
)
collect_errors = CounterFamily(
    Counter,
    "vibebox_metrics_collect_errors_total",
    "Parts of a scrape that could not be read.",
    {"collector": COLLECTORS},
    "each part of a scrape, or file of the shared directory, that is left out; values: each time "
    "that a process begins to miss its place in the directory (full, read-only, deleted); format: "
    "each scrape without exemplars, since the client library writes files in an unknown format",
    registry=registry,
)
label_overflow = CounterFamily(
    Counter,
    "vibebox_metrics_label_overflow_total",
    "Label values outside their closed set, counted under `other`.",
    {"family": None},
    "each event with such a value",
    registry=registry,
)

environments_total = Computed(
    "vibebox_environments_total",
    "Environments by status (the name that dashboards know).",
    {"status": ENVIRONMENT_STATUSES},
    "rows by status at scrape time; the same whichever worker answers",
)
environments = Computed(
    "vibebox_environments",
    "Environments by status.",
    {"status": ENVIRONMENT_STATUSES},
    "the same",
)
_SESSION = {"type": SESSION_TYPES, "status": SESSION_STATUSES}
sessions_total = Computed(
    "vibebox_sessions_total",
    "Sessions by type and status (the name that dashboards know).",
    _SESSION,
    "rows at scrape time; terminated: those that ended in the past 24 h",
)
sessions = Computed(
    "vibebox_sessions",
    "Sessions by type and status.",
    _SESSION,
    "the same",
)
users = Computed(
    "vibebox_users",
    "Accounts.",
    {"state": USER_STATES},
    "rows at scrape time; active: authenticated in that time, by whatever means",
)
agent_leading = Computed(
    "vibebox_agent_leading",
    "Whether an agent leads.",
    {},
    "its lease in the database, by the database's clock, at scrape time; 0 also where no agent "
    "lives to say so",
)
agent_sweep_age = Computed(
    "vibebox_agent_sweep_age_seconds",
    "Time since an agent has last compared all records with Docker.",
    {},
    "each sweep, which reports to the database; at scrape time, so that it grows when nobody "
    "sweeps, and is +Inf before the first one",
)
environment_drift = Computed(
    "vibebox_environment_drift",
    "Environments whose recorded status differs from Docker's.",
    {},
    "each comparison by the agent, within a second; 0 again when the records are mended; what the "
    "last agent found where none leads",
)
collect_duration = Computed(
    "vibebox_metrics_collect_duration_seconds",
    "Time that each part of this scrape took.",
    {"collector": COLLECTORS},
    "the scrape that shows it",
)
metrics_files = Computed(
    "vibebox_metrics_files",
    "Files of the shared metrics directory that a scrape reads.",
    {"state": ("live", "dead")},
    "the scrape that shows it; live are those of living processes, dead the others and the archive",
)

metrics_processes = Computed(
    "vibebox_metrics_processes",
    "Living processes of the service, by how much of them a scrape can show.",
    {"state": tuple(State)},
    "the scrape that shows it. hidden: has counts that no scrape can show, since the metrics "
    "directory failed; silent: has published nothing for 20 s, and its gauges are left out",
)
metrics_directory_trouble = Computed(
    "vibebox_metrics_directory_trouble",
    "Whether the shared metrics directory cannot be used, by what is wrong with it.",
    {"reason": tuple(Trouble)},
    "the scrape that shows it, by taking up room in the directory; busy: another process held it "
    "for too long",
)

FAMILIES: tuple[Family | Computed, ...] = tuple(  # type: ignore[type-arg]
    item for item in list(globals().values()) if isinstance(item, (Family, Computed))
)


def _count_overflow(family: str) -> None:
    label_overflow.child(family).inc()


Family.on_overflow = staticmethod(_count_overflow)


def create_expected() -> None:
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
        websocket_messages,
        clients_cut_off,
        limit_refusals,
        collect_errors,
        worker_exits,
    ):
        counter.create_all()
    for gauge in (
        active_connections,
        db_pool_size,
        db_pool_utilization,
        worker_threads,
        worker_queue_depth,
        client_connections,
        websocket_connections,
        websocket_connections_limit,
    ):
        gauge.create_all()
    docker_operation_duration.create_all()
    environment_start_duration.create_all()
    gc_duration.create_all()
    http_queue_wait.create_all()
    http_client_wait.create_all()
    for family in FAMILIES:
        if any(values is not None for values in family.labels.values()):
            label_overflow.child(family.name)


def reference_table() -> str:
    """Return the catalogue as a Markdown table, in the order of this module."""
    lines = ["| family | type | labels | moved by |", "|---|---|---|---|"]
    for family in FAMILIES:
        labels = ", ".join(family.labels) or "none"
        lines.append(f"| `{family.name}` | {family.kind} | {labels} | {family.moved_by} |")
    return "\n".join(lines) + "\n"
