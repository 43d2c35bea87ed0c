"""What is done to a service, each for the length of a block. Nothing is pretended."""

import itertools
import os
import re
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import psycopg2
from websockets.exceptions import InvalidStatus

from app.explaining.kinds import Kind
from tests.backends import scratch
from tests.backends.agent import Agent
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.end_to_end.alerts.load import Caller, Load
from tests.end_to_end.alerts.stack import ADA, Stack
from tests.end_to_end.api import PASSWORD
from tests.end_to_end.sockets import opened
from tests.engine.images import commit

ENVIRONMENTS = "vibebox_environments"
HOST_ENVIRONMENTS = 2
"""How many environments there may be where that is to be too few."""
_METRICS = "PROMETHEUS_MULTIPROC_DIR"
SIGN_IN = "/api/v1/auth/login"
STATUS_STREAM = "/api/v1/environments/<environment_id>/status/stream"


def _harms(stack: Stack, kind: Kind, *ids: str) -> None:
    """Note what a fault is done to, where that is known by then only."""
    stack.harmed.setdefault(kind, set()).update(ids)


def _places(stack: Stack, *pids: int) -> set[str]:
    """Return the places of these workers, as far as they have written a line."""
    return {
        str(line["worker"])
        for line in stack.server.log_lines()
        if line.get("pid") in pids and str(line.get("worker", "")).startswith("web-")
    }


def _token(stack: Stack) -> str:
    return str(stack.api.tokens["access_token"])


@contextmanager
def passwords_guessed(stack: Stack) -> Iterator[None]:
    """Two clients sign in with wrong passwords, as often as they can up to 40 times a second."""
    caller = Caller(stack.server.port)
    wrong = {"email": ADA, "password": "not her password"}
    with Load(lambda: caller.call("POST", SIGN_IN, wrong), clients=2, pause=0.04):
        yield


@contextmanager
def service_stopped(stack: Stack) -> Iterator[None]:
    """Master and workers stand still: connections are accepted, nothing is answered."""
    stack.server.suspend()
    try:
        yield
    finally:
        stack.server.resume()


@contextmanager
def users_cut_off(stack: Stack) -> Iterator[None]:
    """Who signs in gets no answer, as behind a proxy that hangs; the service sees nothing of it."""
    stack.way.hole_for = SIGN_IN.encode()
    try:
        yield
    finally:
        stack.way.hole_for = None


@contextmanager
def workers_killed(stack: Stack) -> Iterator[None]:
    """One worker after the other is killed, as the kernel does when it is short of memory."""
    workers = len(stack.server.worker_pids())
    for _ in range(6):
        # The newest one, so that the others go on serving: always that of the same place.
        killed = stack.server.worker_pids()[-1]
        _harms(stack, Kind.PROCESS, _newest_place(stack))
        os.kill(killed, signal.SIGKILL)
        wait_until(partial(_replaced, stack, killed, workers), 30)
        # Prometheus has to have seen it.
        time.sleep(1.2 * stack.interval)
    yield


def _newest_place(stack: Stack) -> str:
    """Return the place of the worker that began last."""
    found = stack.prometheus.query('vibebox_process_start_time_seconds{worker=~"web-.*"}')
    return max(found, key=lambda one: one[1])[0]["worker"]


def _replaced(stack: Stack, gone: int, workers: int) -> bool:
    pids = stack.server.worker_pids()
    return gone not in pids and len(pids) == workers


@contextmanager
def interpreter_held(stack: Stack) -> Iterator[None]:
    """Native code keeps the interpreter's lock of one worker after the other."""
    caller = Caller(stack.server.port)
    with Load(lambda: caller.call("GET", "/hold/250"), clients=1, pause=0.15):
        yield


@contextmanager
def service_crashing(stack: Stack) -> Iterator[None]:
    """The whole server is killed and comes back, again and again, with connections refused."""
    caller = Caller(stack.server.port)
    with Load(lambda: caller.call("GET", "/health/live"), pause=0.05):
        for _ in range(4):
            stack.server.kill()
            stack.server.start()
            # Prometheus has to have seen it: it comes back for longer than a scrape takes to come.
            time.sleep(2.5 * stack.interval)
        yield


@contextmanager
def target_flapping(stack: Stack) -> Iterator[None]:
    """Every third scrape or so finds nobody; the service itself is well."""
    ending = threading.Event()

    def flap() -> None:
        while not ending.wait(2 * stack.interval):
            stack.way.down()
            ending.wait(stack.interval)
            stack.way.up()

    thread = threading.Thread(target=flap, name="flap")
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        stack.way.up()


@contextmanager
def agent_killed(stack: Stack) -> Iterator[None]:
    """The only agent is killed; nobody starts another one."""
    stack.agent.kill()
    try:
        yield
    finally:
        stack.agent.start()


@contextmanager
def agent_frozen(stack: Stack) -> Iterator[None]:
    """The only agent stands still: its process is there, and its lease runs out."""
    stack.agent.suspend()
    try:
        yield
    finally:
        stack.agent.resume()


@contextmanager
def agent_crashing(stack: Stack) -> Iterator[None]:
    """The agent is killed and comes back, again and again."""
    for _ in range(4):
        stack.agent.kill()
        stack.agent.start(leading=False)
        time.sleep(2.5 * stack.interval)
    wait_until(lambda: stack.server.metric("vibebox_agent_leading") == 1, 30, 0.2)
    yield


@contextmanager
def agent_fails_at_extensions(stack: Stack) -> Iterator[None]:
    """What is to be installed cannot be read, in each round of that loop of the agent."""
    with reading(stack, "extensions", "1 / (random() * 0)::int"):
        yield


@contextmanager
def thread_spinning(stack: Stack) -> Iterator[None]:
    """A request computes and does not end; nobody else asks for much."""
    caller = Caller(stack.server.port)
    with _first_to_run(stack.server.worker_pids()), Load(lambda: caller.call("GET", "/spin/25")):
        yield


@contextmanager
def _first_to_run(pids: list[int]) -> Iterator[None]:
    """Let processes have a core before those of other tests, which use the same ones.

    Priorities are those within a session where the kernel groups by sessions, and that of the
    group counts among them (sched(7), autogroup).
    """
    _prioritise(pids, -15)
    try:
        yield
    finally:
        _prioritise(pids, 0)


def _prioritise(pids: list[int], nice: int) -> None:
    for pid in pids:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        with suppress(FileNotFoundError):
            Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def busiest_worker(stack: Stack) -> set[str]:
    """Return the place of the worker that computes most just now."""
    processes = [psutil.Process(pid) for pid in stack.server.worker_pids()]
    for process in processes:
        process.cpu_percent()
    time.sleep(0.3)
    return _places(stack, max(processes, key=lambda it: it.cpu_percent()).pid)


@contextmanager
def descriptors_taken(stack: Stack) -> Iterator[None]:
    """A process may open few more files than it has open."""
    worker = stack.server.worker_pids()[0]
    _harms(stack, Kind.PROCESS, *_places(stack, worker))
    limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)

    def limit() -> None:
        # What a request opens for a moment must not count: the alert looks at what stays open.
        used = min(_open_files(worker) for _ in range(20))
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (round(used / 0.87), limits[1]))

    limit()
    try:
        # Again and again: its pool closes connections, and opens others.
        with Load(limit):
            yield
    finally:
        resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)


def _open_files(pid: int) -> int:
    time.sleep(0.05)
    return len(os.listdir(f"/proc/{pid}/fd"))


@contextmanager
def connections_idle(stack: Stack) -> Iterator[None]:
    """The workers may open few files, and clients keep connections that they do not use."""
    master = stack.server.pid
    limits = resource.prlimit(master, resource.RLIMIT_NOFILE)
    resource.prlimit(master, resource.RLIMIT_NOFILE, (256, limits[1]))
    _replace_workers(stack)
    places = partial(stack.server.metric, "vibebox_client_connections_limit")
    # Each worker tells it within a second of its start.
    wait_until(lambda: 0 < places() < 256 * len(stack.server.worker_pids()), 30, 0.5)
    time.sleep(2)
    crowd = _Crowd(stack.server.port, round(0.9 * places()))
    try:
        with closing(crowd), Load(crowd.refresh, pause=0.2):
            yield
    finally:
        resource.prlimit(master, resource.RLIMIT_NOFILE, limits)
        _replace_workers(stack)


class _Crowd:
    """So many connections on which nothing is said; those that are closed are opened again."""

    def __init__(self, port: int, number: int) -> None:
        self._address = ("127.0.0.1", port)
        self._number = number
        self._open: list[socket.socket] = []

    def refresh(self) -> None:
        """Be as many again. Raises: OSError."""
        ended = [one for one in self._open if _has_ended(one)]
        for one in ended:
            self._open.remove(one)
            one.close()
        while len(self._open) < self._number:
            self._open.append(socket.create_connection(self._address, 10))

    def close(self) -> None:
        """Leave."""
        for one in self._open:
            one.close()


def _has_ended(peer: socket.socket) -> bool:
    try:
        return peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _replace_workers(stack: Stack) -> None:
    before = stack.server.worker_pids()
    stack.server.signal(signal.SIGHUP)
    stack.server.wait_for_workers(
        lambda now: len(now) == len(before) and not {*now} & {*before}, timeout=60
    )


@contextmanager
def metrics_disk_full(stack: Stack) -> Iterator[None]:
    """The disk of the metrics is full when the workers are replaced."""
    server = stack.server
    elsewhere, scratched = server.env[_METRICS], scratch.new_directory("metrics")
    disk = scratched / "disk"
    scratch.mount_small(disk, "2m")
    try:
        server.kill()
        server.set(**{_METRICS: str(disk / "metrics")})
        server.start()
        with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(4096))
        _replace_workers(stack)
        yield
    finally:
        server.kill()
        server.set(**{_METRICS: elsewhere})
        server.start()
        scratch.remove_directory(scratched)


@contextmanager
def accounts_made(stack: Stack) -> Iterator[None]:
    """A program makes accounts from one address, faster than people would."""
    caller = Caller(stack.server.port)
    numbers = itertools.count()

    def sign_up() -> int:
        body = {"email": f"program-{next(numbers)}@example.org", "password": PASSWORD}
        return caller.call("POST", "/api/v1/auth/register", body)

    with Load(sign_up, pause=0.3):
        yield


@contextmanager
def everything_fails_at_night(stack: Stack) -> Iterator[None]:
    """A request a minute of the rules' time, and each fails."""
    caller = Caller(stack.server.port)
    with Load(lambda: caller.call("GET", "/fail"), pause=60 / stack.factor):
        yield


@contextmanager
def passwords_guessed_slowly(stack: Stack) -> Iterator[None]:
    """Many accounts are tried, each seldom, while more people sign in with the right password."""
    caller = Caller(stack.server.port)
    numbers = itertools.count()

    def guess() -> int:
        email = f"person-{next(numbers) % 200}@example.org"
        return caller.call("POST", SIGN_IN, {"email": email, "password": "Summer2026!"})

    right = {"email": ADA, "password": PASSWORD}
    with (
        Load(guess, pause=0.4),
        Load(lambda: caller.call("POST", SIGN_IN, right), pause=0.25),
    ):
        yield


@contextmanager
def database_gone(stack: Stack) -> Iterator[None]:
    """Connections to the database are refused, and clients go on asking."""
    caller = Caller(stack.server.port, _token(stack))
    assert stack.proxy is not None
    stack.proxy.down()
    try:
        with Load(lambda: caller.call("GET", "/api/v1/auth/me"), clients=6):
            yield
    finally:
        stack.proxy.up()


@contextmanager
def database_read_only(stack: Stack) -> Iterator[None]:
    """The database answers every question and takes no change, as a standby does."""
    assert stack.proxy is not None
    setting = f"ALTER DATABASE {stack.database_url.rpartition('/')[2]} SET"
    _execute(stack.database_url, f"{setting} default_transaction_read_only = on")
    stack.proxy.reset()  # it is a setting of new connections
    try:
        yield
    finally:
        writing = "SET TRANSACTION READ WRITE"
        _execute(stack.database_url, writing, f"{setting} default_transaction_read_only = off")
        stack.proxy.reset()


@contextmanager
def table_slow(stack: Stack) -> Iterator[None]:
    """A look at the teams takes the database 5 to 7 s, and more ask than there are threads."""
    clients = round(1.5 * stack.server.metric("vibebox_worker_threads", state="total"))
    with _looking_at_teams(stack, "5.2 + 2 * random()", clients):
        yield


@contextmanager
def connections_taken(stack: Stack) -> Iterator[None]:
    """Eight clients share the two connections that a worker may open; nothing else is slow."""
    with _looking_at_teams(stack, "0.15", clients=8):
        yield


@contextmanager
def _looking_at_teams(stack: Stack, seconds: str, clients: int) -> Iterator[None]:
    """Have clients look at their teams, which takes the database so long; others are fast."""
    caller = Caller(stack.server.port, _token(stack), timeout=120)
    with (
        reading(stack, "teams", f"pg_sleep({seconds})"),
        Load(lambda: caller.call("GET", "/api/v1/teams"), clients=clients),
    ):
        yield


@contextmanager
def reading(stack: Stack, table: str, first: str, key: str = "id") -> Iterator[None]:
    """Have the database do something first whenever the table is read; it cannot be written then.

    key: a column that is never null.
    """
    rename = f"ALTER TABLE {table} RENAME TO {table}_themselves"
    # The outer join, which OFFSET keeps one, has it done also where the table is empty.
    rows = f"SELECT t.* FROM (SELECT {first}) p LEFT JOIN {table}_themselves t ON true OFFSET 0"
    view = f"CREATE VIEW {table} AS SELECT r.* FROM ({rows}) r WHERE r.{key} IS NOT NULL"
    back = (f"DROP VIEW {table}", f"ALTER TABLE {table}_themselves RENAME TO {table}")
    _execute(stack.database_url, rename, view)
    try:
        yield
    finally:
        _execute(stack.database_url, *back)


def _execute(url: str, *statements: str) -> None:
    connection = psycopg2.connect(url.replace("+psycopg2", ""), connect_timeout=5)
    try:
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


@contextmanager
def engine_gone(stack: Stack) -> Iterator[None]:
    """Docker Engine is gone, and a user starts an environment all the same."""
    stack.docker.down()
    try:
        with _starting(stack):
            yield
    finally:
        stack.docker.up()


@contextmanager
def engine_hung(stack: Stack) -> Iterator[None]:
    """Docker Engine takes connections, and answers nothing."""
    stack.docker.black_hole = True
    stack.docker.reset()
    try:
        yield
    finally:
        stack.docker.heal()


@contextmanager
def engine_that_only_answers(stack: Stack) -> Iterator[None]:
    """Docker Engine answers pings and lists; what runs containers for it hangs."""
    stack.engine.suspend_runtime()
    try:
        yield
    finally:
        stack.engine.resume_runtime()


@contextmanager
def _starting(stack: Stack) -> Iterator[None]:
    """A user tries to start an environment."""
    environment = stack.api.create("unlucky", "busybox:latest")
    caller = Caller(stack.server.port, _token(stack))
    start = f"/api/v1/environments/{environment}/start"
    with Load(lambda: caller.call("POST", start), pause=0.2):
        yield
    stack.api.call("DELETE", f"/environments/{environment}")


@contextmanager
def host_is_full(stack: Stack) -> Iterator[None]:
    """A user goes on making environments, of which the host is to have no more."""
    made = [f"filling-{number}" for number in range(HOST_ENVIRONMENTS)]
    caller = Caller(stack.server.port, _token(stack))

    def make() -> int:
        body = {"name": made[-1] + "-and-more", "image": "busybox:latest"}
        return caller.call("POST", "/api/v1/environments", body)

    ids = [stack.api.create(name, "busybox:latest") for name in made]
    with Load(make, pause=0.3):
        yield
    for environment in ids:
        stack.api.call("DELETE", f"/environments/{environment}")


@contextmanager
def nothing_started(stack: Stack) -> Iterator[None]:
    """There is an environment, and nobody starts it."""
    environment = stack.api.create("resting", "busybox:latest")
    yield
    stack.api.call("DELETE", f"/environments/{environment}")


@contextmanager
def sockets_opened(stack: Stack) -> Iterator[None]:
    """As many WebSockets are opened as the service takes."""
    environment = stack.api.create("watched", "busybox:latest")
    limit = stack.server.metric("vibebox_websocket_connections_limit")

    def full() -> bool:
        # Which worker takes it is the kernel's choice: a full one refuses.
        with suppress(InvalidStatus):
            path = f"/environments/{environment}/status/stream"
            sockets.enter_context(opened(stack.api, path))
        return stack.server.metric("vibebox_websocket_connections") >= limit

    with ExitStack() as sockets:
        wait_until(full, 30)
        yield
    stack.api.call("DELETE", f"/environments/{environment}")


@contextmanager
def memory_filled(stack: Stack) -> Iterator[None]:
    """The service runs with a memory limit, and one worker fills it."""
    with _leaking(stack, stack.server):
        yield


@contextmanager
def shared_memory_filled(stack: Stack) -> Iterator[None]:
    """Web server and agent share a limit, and one worker fills it: its role is not near it."""
    with _leaking(stack, stack.server, stack.agent):
        yield


@contextmanager
def _leaking(stack: Stack, *programs: WebServer | Agent) -> Iterator[None]:
    """Start the programs anew under a memory limit, and fill 95 % of it from one worker."""
    with _group(stack, "memory") as group:
        for program in programs:
            program.kill()
        # Memory belongs to the group in which it was taken: they have to begin in it.
        with _inside(group):
            for program in programs:
                program.start()
        stack.api.hang_up()
        used = _settled(group)
        limit = used + (400 << 20)
        (group / "memory.limit_in_bytes").write_text(str(limit))
        Caller(stack.server.port).call("GET", f"/fill/{(int(limit * 0.95) - used) >> 20}")
        # A request's line comes a moment after its answer.
        wait_until(lambda: bool(_who_filled(stack)), 30)
        _harms(stack, Kind.PROCESS, *_who_filled(stack))
        yield


def _who_filled(stack: Stack) -> set[str]:
    lines = stack.server.log_lines()
    return {it["worker"] for it in lines if it.get("route", "").startswith("/fill/")}


def _settled(group: Path) -> int:
    """Return what a control group uses once the exporter, which each starts, has what it needs.

    Without the pages of files that the kernel takes back first, as the service counts it.
    """
    seen = [0]

    def settled() -> bool:
        found = re.search(r"^total_inactive_file (\d+)$", (group / "memory.stat").read_text(), re.M)
        assert found is not None
        seen.append(int((group / "memory.usage_in_bytes").read_text()) - int(found[1]))
        return len(seen) > 4 and max(seen[-4:]) - min(seen[-4:]) < 4 << 20

    wait_until(settled, 30, 0.5)
    return seen[-1]


@contextmanager
def _inside(group: Path) -> Iterator[None]:
    """Have what this process starts begin in the control group."""
    root = group.parent
    (group / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (root / "cgroup.procs").write_text(str(os.getpid()))


@contextmanager
def cpu_burned(stack: Stack) -> Iterator[None]:
    """The service may use half a core, and requests that compute take all of it."""
    caller = Caller(stack.server.port)
    limits = {"cpu.cfs_period_us": 100_000, "cpu.cfs_quota_us": 50_000}
    with _group(stack, "cpu") as group:
        for name, value in limits.items():
            (group / name).write_text(str(value))
        for pid in (stack.server.pid, *stack.server.worker_pids()):
            (group / "cgroup.procs").write_text(str(pid))
        with Load(lambda: caller.call("GET", "/burn/100")):
            yield


@contextmanager
def _group(stack: Stack, controller: str) -> Iterator[Path]:
    """Make a control group (version 1); what is in it at the end goes back to where it was."""
    root = Path("/sys/fs/cgroup") / controller
    group = root / f"vibebox-alerts-{stack.server.pid}"
    group.mkdir()
    try:
        yield group
    finally:
        for member in (group / "cgroup.procs").read_text().split():
            (root / "cgroup.procs").write_text(member)
        wait_until(lambda: _removed(group), 10)


@contextmanager
def containers_harmed(stack: Stack) -> Iterator[None]:
    """Six containers run out of memory; one is paused behind a record that nobody can mend."""
    raw = stack.engine.client()
    greedy = commit(raw, stack.engine, "sleep 2; exec tail /dev/zero")
    steady = stack.api.create("steady", stack.engine.busybox)
    ids = [stack.api.create(f"greedy-{n}", greedy, memory_limit_mb=32) for n in range(6)]
    _harms(stack, Kind.ENVIRONMENT, *ids)
    for environment in (steady, *ids):
        assert stack.api.act(environment, "start").status_code == 200
    wait_until(lambda: stack.server.metric(ENVIRONMENTS, status="error") == len(ids), 60, 0.5)
    connection = psycopg2.connect(stack.database_url.replace("+psycopg2", ""), connect_timeout=5)
    try:
        connection.cursor().execute("SELECT 1 FROM environments FOR UPDATE")
        raw.pause(f"vibebox-{steady}")
        yield
    finally:
        connection.close()
    for environment in ids:
        stack.api.call("DELETE", f"/environments/{environment}")


def _removed(group: Path) -> bool:
    with suppress(OSError):
        group.rmdir()
    return not group.exists()
