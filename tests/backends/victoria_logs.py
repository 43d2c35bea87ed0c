"""The real VictoriaLogs: takes log records by OTLP (or Loki's push), and is asked in LogsQL."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.backends import http
from tests.backends.programs import Program, ServiceError, free_port, wait_until
from tests.backends.scratch import new_directory, remove_directory

PROGRAM = Path("/var/cache/vibebox-tests/signal-stores/victoria-logs")
READY_TIMEOUT = 30.0
Row = dict[str, str]


class VictoriaLogs:
    """A VictoriaLogs with its own storage, on a free port of this host.

    Args:
        flags: further command-line flags.
        port: where it listens; one may be named before it is there, or again after its end.
    """

    def __init__(self, *, flags: Sequence[str] = (), port: int | None = None) -> None:
        self._directory = new_directory("victoria-logs")
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = Program(
            self._command(flags),
            self._directory / "log",
            cwd=self._directory,
            env={**os.environ, "GOMAXPROCS": "2"},
        )
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def installed() -> str | None:
        """Return in words what is missing to run VictoriaLogs here, or None."""
        return None if PROGRAM.exists() else "victoria-logs is not installed"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._server.pid

    @property
    def otlp_url(self) -> str:
        """Where it takes log records: what OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is set to."""
        return f"{self.url}/insert/opentelemetry/v1/logs"

    def _command(self, flags: Sequence[str]) -> list[str]:
        return [
            str(PROGRAM),
            f"-storageDataPath={self._directory}/data",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-retentionPeriod=10y",
            # What tests write with times of their own is taken too.
            "-futureRetention=10y",
            *flags,
        ]

    def start(self) -> None:
        """Start it, also after `stop`: what it has stored is still there."""
        if not self._server.running:
            self._server.start()
            self._server.wait_ready(lambda: http.answers(f"{self.url}/health"), READY_TIMEOUT)

    def stop(self) -> None:
        """End it; its storage stays."""
        self._server.stop()

    def kill(self) -> None:
        """End it without asking; what it has not flushed (of the last seconds) is lost."""
        self._server.kill()

    def suspend(self) -> None:
        """Freeze it: it takes connections and answers nothing."""
        self._server.suspend()

    def resume(self) -> None:
        """Undo `suspend`."""
        self._server.resume()

    def heal(self) -> None:
        """Make it run and answer again, whatever a test did to it."""
        self.resume()
        self.start()

    def flush(self) -> None:
        """Make what it has taken so far visible to queries."""
        answer = http.get(f"{self.url}/internal/force_flush")
        if answer.status_code != 200:
            raise ServiceError(f"victoria-logs: {answer.status_code} {answer.text.strip()}")

    def query(self, logsql: str, *, start: str = "", end: str = "") -> list[Row]:
        """Return what a query finds, each record as its fields (`_time`, `_msg`, …), all text.

        start, end: further bounds of the time, as its API takes them.
        """
        self.flush()
        bounds = {name: at for name, at in (("start", start), ("end", end)) if at}
        answer = http.get(f"{self.url}/select/logsql/query", {"query": logsql, **bounds})
        if answer.status_code != 200:
            raise ServiceError(f"victoria-logs: {answer.status_code} {answer.text.strip()}")
        return [json.loads(line) for line in answer.text.splitlines() if line]

    def stats(self, logsql: str) -> dict[str, Any]:
        """Return the one row of a query that ends in `| stats …`, numbers as numbers."""
        (row,) = self.query(logsql)
        return {name: int(value) if value.isdecimal() else value for name, value in row.items()}

    def streams(self, logsql: str = "*") -> list[str]:
        """Return the streams (`{name="value",…}`) that a query's records are of."""
        return sorted({row["_stream"] for row in self.query(f"{logsql} | uniq by (_stream)")})

    def wait_for(
        self, logsql: str, predicate: Callable[[list[Row]], bool] = bool, timeout: float = 20
    ) -> list[Row]:
        """Repeat the query until its rows satisfy `predicate`, and return them.

        Without a predicate the first result that is not empty will do.
        """
        rows: list[Row] = []

        def satisfied() -> bool:
            rows[:] = self.query(logsql)
            return predicate(rows)

        wait_until(satisfied, timeout, interval=0.1, otherwise=lambda: f"{logsql} gave {rows[:20]}")
        return rows

    def close(self) -> None:
        """Stop the server and remove its storage."""
        self._server.stop()
        remove_directory(self._directory)
