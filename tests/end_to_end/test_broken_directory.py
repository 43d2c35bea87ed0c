"""The metrics directory fails under load: no request does, and the scrape shows what is left.

A small disk of its own is mounted for these tests, which only root may do.
"""

import http.client
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.backends import http as plain
from tests.backends import scratch
from tests.backends.programs import ServiceError, wait_until
from tests.backends.scratch import fill
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory, require

pytestmark = pytest.mark.end_to_end

WORKERS = 2
PROCESSES = WORKERS + 1
"""The workers and the master."""
THREADS = 4
PAUSE = 0.004
ERRORS = "vibebox_metrics_collect_errors_total"
REQUESTS = "vibebox_http_requests_total"
"""Its series have their places from the start."""
TROUBLE = "vibebox_metrics_directory_trouble"
DURATIONS = "vibebox_http_request_duration_seconds_count"
"""Its series are made when the first request of a kind is finished."""
QUIET = "telemetry goes quiet: the metrics directory fails"
BACK = "telemetry is back in the metrics directory"

# Method, path, route and status. Nobody asks for those of `NEW` before the directory fails.
Kind = tuple[str, str, str, int]
KNOWN: tuple[Kind, ...] = (
    ("GET", "/health", "/health", 200),
    ("GET", "/api/v1/auth/me", "/api/v1/auth/me", 401),
)
NEW: tuple[Kind, ...] = (
    *((method, "/nothing", "unmatched", 404) for method in ("GET", "POST", "PUT", "DELETE")),
    *((method, "/pot", "unmatched", 404) for method in ("PATCH", "OPTIONS", "TRACE", "BREW")),
    *((method, "/health", "unmatched", 405) for method in ("POST", "PUT", "DELETE", "PATCH")),
    ("HEAD", "/health/live", "/health/live", 200),
    ("GET", "/api/v1/environments", "/api/v1/environments", 401),
    ("OPTIONS", "/api/v1/environments", "/api/v1/environments", 200),
)


class Load:
    """Requests all the time, from several threads, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.sent: Counter[Kind] = Counter()
        self.failed: list[str] = []
        self._port = port
        self._kinds = KNOWN
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(at,)) for at in range(THREADS)]
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.go_on()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, kinds: tuple[Kind, ...] = (), times: int = 30) -> None:
        """Send these kinds too from now on; wait until every kind was sent some times more."""
        self._kinds = (*self._kinds, *kinds)
        wanted = {kind: self.sent[kind] + times for kind in self._kinds}
        wait_until(lambda: all(self.sent[kind] >= wanted[kind] for kind in wanted), 20)

    def _run(self, at: int) -> None:
        while not self._done.is_set():
            at += 1
            self._send(self._kinds[at % len(self._kinds)])
            time.sleep(PAUSE)

    def _send(self, kind: Kind) -> None:
        method, path, _, expected = kind
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, headers={"Connection": "close"})
            response = connection.getresponse()
            response.read()
            problem = "" if response.status == expected else f"status {response.status}"
        except (OSError, http.client.HTTPException) as error:
            problem = repr(error)
        finally:
            connection.close()
        with self._lock:
            self.sent[kind] += 1
            if problem:
                self.failed.append(f"{method} {path}: {problem}")


@pytest.fixture
def disk() -> Iterator[Path]:
    """A file system of 4 MB."""
    directory = scratch.new_directory("disk")
    try:
        try:
            scratch.mount_small(directory / "disk", "4m")
        except ServiceError as error:
            require("a disk to fill", str(error))
        yield directory / "disk"
    finally:
        scratch.remove_directory(directory)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def shown(
    server: WebServer, kinds: tuple[Kind, ...], family: str = DURATIONS
) -> Counter[tuple[str, int]]:
    """What the scrape shows of these kinds, by route and status."""
    counts: Counter[tuple[str, int]] = Counter()
    wanted = {(route, str(status)) for _, _, route, status in kinds}
    for (name, labels), value in server.metrics().items():
        of = dict(labels)
        if name == family and (of["route"], of["status_code"]) in wanted:
            if of["route"] != "/health/live" or of["method"] == "HEAD":
                counts[of["route"], int(of["status_code"])] += int(value)
    return +counts


def sent(load: Load, kinds: tuple[Kind, ...]) -> Counter[tuple[str, int]]:
    counts: Counter[tuple[str, int]] = Counter()
    for kind in kinds:
        counts[kind[2], kind[3]] += load.sent[kind]
    return counts


def assert_shown(
    server: WebServer, load: Load, kinds: tuple[Kind, ...], family: str = DURATIONS
) -> None:
    """A request is counted a moment after its answer, and moves in once a second."""
    expected = sent(load, kinds)
    wait_until(
        lambda: shown(server, kinds, family) == expected,
        5,
        otherwise=lambda: f"{shown(server, kinds, family)} is shown, not {expected}",
    )


def lines(server: WebServer, event: str, **fields: str) -> int:
    """How often the log says so."""
    return sum(
        line.get("event") == event and fields.items() <= line.items() for line in server.log_lines()
    )


def troubles(server: WebServer) -> set[str]:
    """What is wrong with the directory, as the scrape says."""
    return {
        dict(labels)["reason"]
        for (name, labels), value in server.metrics().items()
        if name == TROUBLE and value == 1
    }


def processes(server: WebServer, state: str) -> float:
    return server.metric("vibebox_metrics_processes", state=state)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, 8, otherwise=lambda: f"not within 8 s: {what}")


def rest_of_scrape(server: WebServer) -> dict[str, float]:
    """Scrape; the parts that need no directory must be there. Returns the errors by collector."""
    response = plain.get(f"{server.url}/health/metrics")
    assert response.status_code == 200
    assert 'vibebox_environments{status="running"} 0.0' in response.text
    assert 'vibebox_metrics_collect_duration_seconds{collector="inventory"}' in response.text
    return {
        line.split('"')[1]: float(line.rpartition(" ")[2])
        for line in response.text.splitlines()
        if line.startswith(ERRORS)
    }


def test_disk_that_fills_up_hides_only_new_series(disk: Path, web_server: WebServerFactory) -> None:
    server = web_server({"PROMETHEUS_MULTIPROC_DIR": str(disk / "metrics")}, WORKERS)
    checks = "vibebox_health_check_duration_seconds_count"
    wait_for(lambda: server.metric(checks, check="disk") >= WORKERS, "each worker's first checks")
    with Load(server.port) as load:
        filler = fill(disk)
        load.go_on(NEW)
        wait_for(lambda: server.metric(ERRORS, collector="values") == WORKERS, "errors")
        load.go_on()
    assert load.failed == []
    assert_shown(server, load, KNOWN, REQUESTS)
    assert shown(server, NEW) < sent(load, NEW)
    assert rest_of_scrape(server)["files"] == 0
    assert lines(server, QUIET) == WORKERS
    assert troubles(server) == {"full"}
    assert (processes(server, "shown"), processes(server, "hidden")) == (1, WORKERS)
    check = plain.get(f"{server.url}/health/ready").json()["checks"]["disk"]
    assert check["status"] == "down"
    assert server.metric("vibebox_health_check_up", check="disk", required="false") == 0

    filler.unlink()
    for family in (REQUESTS, DURATIONS):
        assert_shown(server, load, KNOWN + NEW, family)
    wait_for(lambda: lines(server, BACK) == WORKERS, "both workers say so")
    wait_for(lambda: processes(server, "shown") == PROCESSES, "all are shown")
    assert troubles(server) == set()
    print(f"{load.sent.total()} requests, 0 failed")


@pytest.mark.full
def test_start_on_a_full_disk(disk: Path, web_server: WebServerFactory) -> None:
    filler = fill(disk)
    server = web_server({"PROMETHEUS_MULTIPROC_DIR": str(disk / "metrics")}, WORKERS)
    with Load(server.port) as load:
        load.go_on(NEW)
        wait_for(lambda: rest_of_scrape(server)["values"] == 1, "the worker's own error")
        load.go_on()
    assert load.failed == []
    assert shown(server, KNOWN + NEW) == Counter()
    assert lines(server, QUIET) == PROCESSES

    filler.unlink()
    for family in (REQUESTS, DURATIONS):
        assert_shown(server, load, KNOWN + NEW, family)
    wait_for(lambda: server.metric(ERRORS, collector="values") == PROCESSES, "all are counted")
    print(f"{load.sent.total()} requests, 0 failed")


def is_up(server: WebServer) -> bool:
    return server.metric("vibebox_health_check_up", check="database") == 1


@pytest.mark.full
def test_reload_on_a_full_disk_is_told_by_the_scrape(
    disk: Path, web_server: WebServerFactory
) -> None:
    """What no file can show any more, who answers shows of its own accord."""
    server = web_server({"PROMETHEUS_MULTIPROC_DIR": str(disk / "metrics")}, WORKERS)
    filler = fill(disk)
    before = server.worker_pids()
    server.signal(signal.SIGHUP)
    server.wait_for_workers(lambda now: len(now) == WORKERS and not set(now) & set(before))
    with Load(server.port) as load:
        wait_for(lambda: all(is_up(server) for _ in range(6)), "both workers have looked")
        for _ in range(10):
            assert troubles(server) == {"full"}
            assert processes(server, "hidden") == WORKERS
            assert is_up(server)
    assert load.failed == []
    assert server.metric("vibebox_workers") == 0

    filler.unlink()
    assert_shown(server, load, KNOWN)
    wait_for(lambda: processes(server, "hidden") == 0, "nobody is hidden")
    assert server.metric("vibebox_workers") == WORKERS


@pytest.mark.full
def test_frozen_worker_is_silent(tmp_path: Path, web_server: WebServerFactory) -> None:
    """Its last readings are no readings of now."""
    server = web_server({"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}, WORKERS)
    frozen = server.worker_pids()[0]
    os.kill(frozen, signal.SIGSTOP)
    try:
        wait_until(lambda: processes(server, "silent") == 1, 40)
        assert server.metric("vibebox_workers") == WORKERS - 1
        assert processes(server, "shown") == WORKERS
    finally:
        os.kill(frozen, signal.SIGCONT)
    wait_for(lambda: processes(server, "silent") == 0, "it publishes again")
    assert server.metric("vibebox_workers") == WORKERS


def test_disk_that_becomes_read_only_hides_only_new_series(
    disk: Path, web_server: WebServerFactory
) -> None:
    server = web_server({"PROMETHEUS_MULTIPROC_DIR": str(disk / "metrics")}, WORKERS)
    with Load(server.port) as load:
        # Over itself, by way of a place where nothing is open for writing: else it is refused.
        aside = disk.with_name("aside")
        aside.mkdir()
        _mount("--bind", str(disk), str(aside))
        _mount("-o", "remount,bind,ro", str(aside))
        _mount("--bind", str(aside), str(disk))
        load.go_on(NEW)
        wait_for(lambda: server.metric(ERRORS, collector="values") == WORKERS, "errors")
        load.go_on()
    assert load.failed == []
    assert_shown(server, load, KNOWN, REQUESTS)
    assert lines(server, QUIET) == WORKERS

    server.signal(signal.SIGTTIN)  # one more worker, which cannot even join
    wait_for(lambda: lines(server, QUIET) == WORKERS + 1, "the new worker's line")
    assert_shown(server, load, KNOWN, REQUESTS)
    assert troubles(server) == {"read_only"}
    assert processes(server, "hidden") >= WORKERS
    subprocess.run(["umount", str(disk)], check=True)
    assert_shown(server, load, KNOWN + NEW)
    wait_for(lambda: server.metric("vibebox_workers") == WORKERS + 1, "workers")
    print(f"{load.sent.total()} requests, 0 failed")


def test_deleted_directory_is_made_anew(tmp_path: Path, web_server: WebServerFactory) -> None:
    server = web_server({"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}, WORKERS)
    with Load(server.port) as load:
        delete(tmp_path / "metrics")
        wait_for(
            lambda: rest_of_scrape(server).get("values") == PROCESSES, "all processes are back"
        )
        load.go_on(NEW)
    assert load.failed == []
    assert [lines(server, text) for text in (QUIET, BACK)] == [PROCESSES] * 2
    assert server.metric("vibebox_active_connections") == 0

    settled = shown(server, KNOWN + NEW)
    with Load(server.port) as more:
        server.signal(signal.SIGHUP)
        workers = server.worker_pids()
        server.wait_for_workers(lambda now: len(now) == WORKERS and not set(now) & set(workers))
    assert more.failed == []
    expected = settled + sent(more, KNOWN)
    wait_for(lambda: shown(server, KNOWN + NEW) == expected, "the new workers' counts")
    print(f"{load.sent.total() + more.sent.total()} requests, 0 failed")


def delete(directory: Path) -> None:
    """What `rm -rf` does; again where somebody makes a file meanwhile."""
    while directory.exists():
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.full
def test_directory_that_cannot_be_made_anew(tmp_path: Path, web_server: WebServerFactory) -> None:
    parent = tmp_path / "parent"
    parent.mkdir()
    server = web_server({"PROMETHEUS_MULTIPROC_DIR": str(parent / "metrics")}, WORKERS)
    with Load(server.port) as load:
        parent.rename(tmp_path / "away")
        wait_for(lambda: lines(server, QUIET) == PROCESSES, "all processes say so")
        wait_for(lambda: rest_of_scrape(server).get("values") == 1, "the worker's own error")
        before = rest_of_scrape(server)
        for _ in range(10):
            errors = rest_of_scrape(server)
        assert errors["files"] > before["files"] > 0
        assert troubles(server) == {"missing"}
        assert (processes(server, "shown"), processes(server, "hidden")) == (0, 1)
        load.go_on(NEW)
    assert load.failed == []
    assert shown(server, KNOWN + NEW) == Counter()
    assert lines(server, QUIET) == PROCESSES
    assert lines(server, "scrape left out a part", collector="files") <= WORKERS

    workers = server.worker_pids()
    server.signal(signal.SIGHUP)
    server.wait_for_workers(lambda now: len(now) == WORKERS and not set(now) & set(workers))
    parent.mkdir()
    wait_for(lambda: (parent / "metrics").exists(), "the directory is there again")
    with Load(server.port) as more:
        pass
    assert more.failed == []
    assert_shown(server, more, KNOWN)
    print(f"{load.sent.total() + more.sent.total()} requests, 0 failed")


VANISHING = "counter_vanishing.db"


def bad_files(directory: Path) -> dict[str, Callable[[Path], object]]:
    """Each kind of fault, under the name of a living member and of one that is dead."""
    living = next(directory.glob("member_*.lock")).stem.removeprefix("member_")
    good = next(directory.glob("counter_*.db")).read_bytes()
    faults: dict[str, Callable[[Path], object]] = {
        "empty": lambda path: path.touch(),
        "truncated": lambda path: path.write_bytes(good[: len(good) // 50]),
        "garbled": lambda path: path.write_bytes(os.urandom(5000)),
        "directory": lambda path: path.mkdir(),
        "fifo": os.mkfifo,
    }
    files = {f"counter_{fault}.db": make for fault, make in faults.items()}
    files |= {f"gauge_{fault}_{living}.db": make for fault, make in faults.items()}
    return files | {"member_fifo.lock": os.mkfifo, "member_directory.lock": lambda p: p.mkdir()}


def test_bad_files_cost_only_themselves(tmp_path: Path, web_server: WebServerFactory) -> None:
    directory = tmp_path / "metrics"
    server = web_server({"PROMETHEUS_MULTIPROC_DIR": str(directory)}, WORKERS)
    with Load(server.port) as load:
        for name, make in bad_files(directory).items():
            make(directory / name)
            load.go_on(times=2)
            assert rest_of_scrape(server)["values"] == 0
        errors = [rest_of_scrape(server)["files"] for _ in range(10)]
        assert errors == sorted(errors)
        assert errors[-1] > errors[0] >= 4
        vanishing(directory, lambda: rest_of_scrape(server))
        load.go_on(NEW)
    assert load.failed == []
    assert_shown(server, load, KNOWN + NEW)
    # Each worker says it once of each file of the living (an empty one is being made, perhaps).
    event = "scrape left out a file"
    vanished = lines(server, event, file=VANISHING)
    assert 4 <= lines(server, event) - vanished <= 4 * WORKERS
    assert lines(server, QUIET) == 0
    print(f"{load.sent.total()} requests, 0 failed, {errors[-1]:.0f} errors of files")


def vanishing(directory: Path, scrape: Callable[[], object]) -> None:
    """Scrape while files come and go."""
    end = time.monotonic() + 1.0

    def come_and_go() -> None:
        while time.monotonic() < end:
            path = directory / VANISHING
            path.write_bytes(bytes(64))
            path.unlink(missing_ok=True)

    thread = threading.Thread(target=come_and_go)
    thread.start()
    while time.monotonic() < end:
        scrape()
    thread.join()
