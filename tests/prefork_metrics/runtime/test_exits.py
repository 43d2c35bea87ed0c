"""Why workers end: the rule, what gunicorn's hooks tell, and a real gunicorn."""

import http.client
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gunicorn.arbiter
import psutil
import pytest

from prefork_metrics.runtime.exits import Exit, ExitClassifier, reason
from tests.backends.programs import Program, free_port, wait_until
from tests.prefork_metrics.registry import moved, read, registry

EXITS = "test_worker_exits_total"
ROOT = Path(__file__).parents[3]


def exited(code: int) -> int:
    return code << 8


TERM, KILL = frozenset({signal.SIGTERM}), frozenset({signal.SIGTERM, signal.SIGKILL})


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (Exit(signal.SIGKILL, aborted=True), "timeout"),
        (Exit(exited(1), aborted=True), "timeout"),
        (Exit(signal.SIGKILL), "killed"),
        (Exit(signal.SIGTERM), "killed"),
        (Exit(signal.SIGHUP), "killed"),
        (Exit(signal.SIGSEGV), "crashed"),
        (Exit(signal.SIGBUS | 0x80), "crashed"),
        (Exit(signal.SIGSEGV, told=TERM), "crashed"),
        (Exit(exited(255)), "crashed"),
        (Exit(exited(1), told=TERM), "crashed"),
        (Exit(exited(0), told=TERM), "shutdown"),
        (Exit(exited(0), told=TERM, outdated=True), "reloaded"),
        (Exit(signal.SIGTERM, told=TERM, outdated=True), "reloaded"),
        (Exit(signal.SIGKILL, told=KILL), "shutdown"),
        (Exit(signal.SIGKILL, told=TERM), "killed"),
        (Exit(exited(0), outdated=True), "killed"),
        (Exit(exited(0), recycling=True), "recycled"),
        (Exit(exited(0), told=TERM, recycling=True), "shutdown"),
        (Exit(exited(0)), "killed"),
        (Exit(None), "crashed"),
        (Exit(None, told=TERM), "shutdown"),
        (Exit(None, recycling=True), "recycled"),
    ],
    ids=str,
)
def test_reason(end: Exit, expected: str) -> None:
    assert reason(end) == expected


class Master:
    """Does what gunicorn's arbiter does to a worker, in its order, through its `os`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statuses: list[tuple[int, int]] = []
        monkeypatch.setattr(os, "waitpid", lambda _pid, _options: self.statuses.pop())
        monkeypatch.setattr(os, "kill", lambda _pid, _number: None)
        self.arbiter: Any = gunicorn.arbiter
        self.server = SimpleNamespace(worker_age=0)
        self.exits = ExitClassifier()
        self.exits.on_starting()
        self.exits.create_all(registry)

    def fork(self) -> Any:
        self.server.worker_age += 1
        worker = SimpleNamespace(
            pid=1000 + self.server.worker_age,
            age=self.server.worker_age,
            aborted=False,
            nr=0,
            max_requests=5,
        )
        self.exits.pre_fork(worker)
        return worker

    def reap(self, worker: Any, status: int) -> str:
        self.statuses = [(0, 0), (worker.pid, status)]
        while self.arbiter.os.waitpid(-1, os.WNOHANG)[0]:
            found = self.exits.child_exit(worker, registry)
        return found


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> Iterator[Master]:
    master = Master(monkeypatch)
    yield master
    master.exits.on_exit()
    assert master.arbiter.os is os


def test_every_reason_exists_from_the_start(master: Master) -> None:
    assert {labels[0] for labels in read(EXITS)} == {
        "recycled",
        "reloaded",
        "timeout",
        "killed",
        "crashed",
        "shutdown",
    }


def test_reload_ends_the_old_workers_only(master: Master) -> None:
    old = master.fork()
    master.exits.on_reload(master.server)
    new = master.fork()
    master.arbiter.os.kill(old.pid, signal.SIGTERM)
    master.arbiter.os.kill(new.pid, signal.SIGTERM)

    with moved(EXITS) as exits:
        assert master.reap(old, exited(0)) == "reloaded"
        assert master.reap(new, exited(0)) == "shutdown"
    assert exits == {("reloaded",): 1, ("shutdown",): 1}


def test_timeout_is_what_the_master_gave_up(master: Master) -> None:
    worker = master.fork()
    worker.aborted = True
    master.arbiter.os.kill(worker.pid, signal.SIGABRT)

    assert master.reap(worker, signal.SIGKILL) == "timeout"


def test_worker_says_that_it_has_served_its_share(master: Master) -> None:
    recycled, killed = master.fork(), master.fork()
    recycled.nr = 5
    master.exits.worker_exit(recycled)
    master.exits.worker_exit(killed)

    assert master.reap(recycled, exited(0)) == "recycled"
    assert master.reap(killed, exited(0)) == "killed"


def test_signals_other_than_stopping_do_not_explain_an_end(master: Master) -> None:
    worker = master.fork()
    master.arbiter.os.kill(worker.pid, signal.SIGUSR1)

    assert master.reap(worker, signal.SIGKILL) == "killed"


def test_pid_that_comes_again_starts_afresh(master: Master) -> None:
    worker = master.fork()
    master.arbiter.os.kill(worker.pid, signal.SIGTERM)
    assert master.reap(worker, exited(0)) == "shutdown"

    assert master.reap(worker, signal.SIGKILL) == "killed"


def test_worker_reaped_behind_the_watch_has_no_status(master: Master) -> None:
    assert master.exits.child_exit(master.fork(), registry) == "crashed"


CONFIG = """
import logging, sys
from prefork_metrics.gunicorn import install
told = logging.StreamHandler(sys.stderr)
told.addFilter(lambda record: hasattr(record, "reason"))
told.setFormatter(logging.Formatter("EXIT %(reason)s %(message)s"))
logging.getLogger("prefork_metrics").handlers = [told]
logging.getLogger("prefork_metrics").setLevel("INFO")
worker_class = "gthread"
workers = 1
timeout = 2
graceful_timeout = 5
max_requests = 3
control_socket_disable = True
install(globals())
"""
APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


@pytest.mark.integration
@pytest.mark.timeout(60)
def test_real_gunicorn(tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text(CONFIG)
    (tmp_path / "plain.py").write_text(APPLICATION)
    port = free_port()
    log = tmp_path / "log"
    command = [sys.executable, "-m", "gunicorn", "-c", "conf.py", "-b", f"127.0.0.1:{port}"]
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{tmp_path}",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
    }
    server = Program([*command, "plain:application"], log, name="gunicorn", env=env, cwd=tmp_path)

    def reasons() -> list[str]:
        lines = log.read_text().splitlines()
        return [line.split()[1] for line in lines if line.startswith("EXIT")]

    def ends(expected: str, number: int, whom: str = "worker") -> None:
        before = len(reasons())
        wait_until(lambda: _serves(port), 10)
        worker = psutil.Process(server.pid).children()[0].pid
        os.kill(worker if whom == "worker" else server.pid, number)
        wait_until(lambda: len(reasons()) > before, 15, otherwise=log.read_text)
        assert reasons()[before:] == [expected]

    server.start()
    try:
        ends("killed", signal.SIGKILL)
        ends("crashed", signal.SIGSEGV)
        ends("killed", signal.SIGTERM)
        ends("reloaded", signal.SIGHUP, "master")
        ends("timeout", signal.SIGSTOP)
        before = len(reasons())
        wait_until(lambda: _serves(port) and len(reasons()) > before, 10)
        assert reasons()[before:] == ["recycled"]
        ends("shutdown", signal.SIGTERM, "master")
        server.wait(10)
    finally:
        server.kill()


def _serves(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
