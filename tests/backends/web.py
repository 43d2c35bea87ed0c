"""The service itself, started as in production: gunicorn with the repository's configuration."""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.backends import http, migrated
from tests.backends.children import children
from tests.backends.programs import Program, free_port, tail, wait_until

ROOT = migrated.ROOT
GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app.wsgi:app"]
UNLIMITED = {
    "VIBEBOX_QUOTA_ENVIRONMENTS": "1000000",
    "VIBEBOX_QUOTA_CPUS": "1000000",
    "VIBEBOX_QUOTA_MEMORY_MB": "1000000000",
    "VIBEBOX_QUOTA_TEAMS": "1000000",
    "VIBEBOX_HOST_ENVIRONMENTS": "1000000",
    "VIBEBOX_HOST_CPUS": "1000000",
    "VIBEBOX_HOST_MEMORY_MB": "1000000000",
    "VIBEBOX_HOST_ACCOUNTS": "1000000",
    "VIBEBOX_RATE_LIMIT_ACCOUNT": "1000000 per minute",
    "VIBEBOX_RATE_LIMIT_ADDRESS": "1000000 per minute",
    "VIBEBOX_RATE_LIMIT_CHANGES": "1000000 per minute",
}
"""Tests ask for more than anybody; those of the limits set their own."""
CHEAP_PASSWORDS = {"VIBEBOX_ARGON2_TIME_COST": "1", "VIBEBOX_ARGON2_MEMORY_KIB": "8"}
"""A password of its own cost takes longer than the start of a server."""
MEASURING = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
"""What `make coverage` has every process know; empty in all other runs."""
MEASURED_SECONDS = 5.0
"""What a process has to write down what it covered, where that is measured."""
READY_TIMEOUT = 30.0
STOP_TIMEOUT = 40.0
"""More than the service's own graceful time-out (30 s)."""

Sample = tuple[str, frozenset[tuple[str, str]]]
_SAMPLES = re.compile(r"^[^#\n].*$", re.MULTILINE)


class WebServer:
    """One gunicorn master with its workers.

    It sees nothing of the environment but PATH and LANG. What `env` leaves open is set to places
    in `directory`: an SQLite database, the metrics, HOME, and a Docker Engine that is not there
    (a test must never touch the engine of the host by accident); and nothing is limited.
    """

    def __init__(
        self,
        directory: Path,
        env: Mapping[str, str] | None = None,
        workers: int = 2,
        threads: int = 8,
        migrate: bool = True,
        root: Path = ROOT,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory / "web.log"
        self.env = {
            "PATH": os.environ["PATH"],
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "HOME": str(directory),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WEB_CONCURRENCY": str(workers),
            "VIBEBOX_THREADS": str(threads),
            "DATABASE_URL": f"sqlite:///{directory}/vibebox.db",
            "DOCKER_HOST": f"unix://{directory}/no-docker.sock",
            "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics"),
            **UNLIMITED,
            **CHEAP_PASSWORDS,
            **MEASURING,
            **(env or {}),
        }
        self._migrate_first = migrate
        self._root = root
        self._server = Program(
            GUNICORN, self.log, warm=True, name="gunicorn", env=self.env, cwd=root
        )

    def set(self, **settings: str) -> None:
        """Change the environment of a server that has not been started yet."""
        self.env.update(settings)
        self._server = Program(
            GUNICORN, self.log, warm=True, name="gunicorn", env=self.env, cwd=self._root
        )

    def start(self, wait: bool = True) -> None:
        """Migrate the database if so wished, start the server and wait until it is live.

        Raises ServiceError, with the end of the log, when the server ends instead.
        """
        if self._migrate_first:
            migrated.fill(migrated.MIGRATE, self._root, self.env)
        self._server.start()
        if wait:
            self.wait_live()

    def migrate(self) -> None:
        """Bring the database to the schema of this release."""
        migrated.migrate(migrated.MIGRATE, self._root, self.env)

    def wait_live(self, timeout: float = READY_TIMEOUT) -> None:
        """Wait until GET /health/live answers 200."""
        self._server.wait_ready(lambda: http.answers(f"{self.url}/health/live"), timeout)

    @property
    def pid(self) -> int:
        """Process id of the master."""
        return self._server.pid

    @property
    def running(self) -> bool:
        """Whether the master runs."""
        return self._server.running

    def worker_pids(self) -> list[int]:
        """Return the process ids of the workers, in ascending order."""
        return sorted(child.pid for child in children(self.pid) if not _exports(child))

    def wait_for_workers(
        self, condition: Callable[[list[int]], bool], timeout: float = READY_TIMEOUT
    ) -> list[int]:
        """Wait until the process ids of the workers satisfy `condition`, and return them."""
        wait_until(
            lambda: condition(self.worker_pids()),
            timeout,
            otherwise=lambda: f"workers are {self.worker_pids()} after {timeout:g} s",
        )
        return self.worker_pids()

    def signal(self, number: int) -> None:
        """Send a signal to the master."""
        os.kill(self.pid, number)

    def wait_ended(self, timeout: float = STOP_TIMEOUT) -> int | None:
        """Wait until the master ends of its own accord and return its exit code."""
        return self._server.wait(timeout)

    def heal(self) -> None:
        """Make the server run and answer again, whatever a test did to it."""
        self.resume()
        if not self.running:
            self.start()

    def terminate(self, timeout: float = STOP_TIMEOUT) -> int | None:
        """Ask the server to stop, insist after `timeout`, and return its exit code."""
        return self._server.stop(timeout)

    def kill(self) -> None:
        """End the master and all workers without warning."""
        self._server.kill()

    def suspend(self) -> None:
        """Freeze the master and all workers."""
        self._server.suspend()

    def resume(self) -> None:
        """Undo `suspend`."""
        self._server.resume()

    def log_lines(self) -> list[dict[str, Any]]:
        """Return what the server wrote, line by line; {"text": line} for what is not JSON."""
        return [_parsed(line) for line in self.log.read_text(errors="replace").splitlines()]

    def _scrape(self) -> str:
        response = http.get(f"{self.url}/health/metrics")
        response.raise_for_status()
        return response.text

    def metrics(self) -> dict[Sample, float]:
        """Scrape /health/metrics and return each sample by its name and labels."""
        return dict(map(_sample, _SAMPLES.findall(self._scrape())))

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with that name and those labels; 0 when there are none."""
        wanted = labels.items()
        lines = re.findall(
            rf"^{re.escape(name)}(?:\{{.*\}})? [^ \n]+", self._scrape(), re.MULTILINE
        )
        return sum((value for (_, has), value in map(_sample, lines) if wanted <= has), 0.0)

    def close(self) -> None:
        """Leave no process behind. A server that still runs is stopped at once."""
        if MEASURING:
            self._server.stop(MEASURED_SECONDS)
        self._server.kill()

    def __enter__(self) -> "WebServer":
        if not self.running:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        self.print_log()

    def print_log(self) -> None:
        """Print the end of the log; pytest shows what a test printed when it fails."""
        print(f"--- {self.log} ends:\n{tail(self.log, 100)}")


def _exports(process: psutil.Process) -> bool:
    try:
        return "exporter" in process.cmdline()
    except psutil.Error:
        return False


def _sample(line: str) -> tuple[Sample, float]:
    series, value = line.rsplit(" ", 1)
    return _series(series), float(value)


@cache
def _series(text: str) -> Sample:
    """Read name and labels; by the client library, which takes longer for it than the scrape.

    So that is done once for each: tests that poll see the same ones again and again.
    """
    (family,) = text_string_to_metric_families(f"{text} 0\n")
    (sample,) = family.samples
    return sample.name, frozenset(sample.labels.items())


def _parsed(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {"text": line}
    return value if isinstance(value, dict) else {"text": line}
