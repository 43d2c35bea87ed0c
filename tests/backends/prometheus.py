"""The real Prometheus, scraping what a test tells it to."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.backends import http
from tests.backends.programs import Program, ServiceError, free_port, wait_until
from tests.backends.prometheus_releases import Release, chosen
from tests.backends.scratch import new_directory, remove_directory

READY_TIMEOUT = 30.0
Vector = list[tuple[dict[str, str], float]]


class Prometheus:
    """A Prometheus with its own storage, on a free port of this host.

    Its first scrape comes 5 s after the start: so long it waits, by a constant of its own, before
    it looks at targets. Put what needs a scrape into few tests.

    Args:
        targets: what to scrape, each as "host:port".
        job: value of the job label.
        metrics_path: path of the metrics at each target.
        scrape_interval: how often it scrapes, and evaluates rules.
        bearer_token: what it sends as its credentials, from a file as in production.
        extra_config: YAML text with further top-level keys, such as `rule_files:`.
        external_labels: what it adds to what it sends.
        flags: further command-line flags.
        env: further variables of its environment.
        program: which one, where it is not that of the release.
        release: told to take what it can; the chosen one where none is named.
        others: further targets, each a job of its own by this name.
        scrapes: further jobs, as Prometheus has them in `scrape_configs`.
    """

    def __init__(
        self,
        targets: Sequence[str],
        *,
        job: str = "vibebox-backend",
        metrics_path: str = "/health/metrics",
        scrape_interval: str = "1s",
        bearer_token: str | None = None,
        extra_config: str = "",
        external_labels: Mapping[str, str] | None = None,
        flags: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        program: str | Path | None = None,
        release: Release | None = None,
        others: Mapping[str, str] | None = None,
        scrapes: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._release = release or chosen()
        self._program = str(program or self._release.program)
        self._directory = new_directory("prometheus")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        first: dict[str, Any] = {
            "job_name": job,
            "metrics_path": metrics_path,
            "static_configs": [{"targets": list(targets)}],
        }
        if bearer_token is not None:
            first["authorization"] = {"credentials_file": str(self._token_file(bearer_token))}
        jobs: list[Mapping[str, Any]] = [first, *scrapes]
        jobs += [
            {"job_name": name, "static_configs": [{"targets": [target]}]}
            for name, target in (others or {}).items()
        ]
        told = [{**job, **self._release.scrape} for job in jobs]
        self._write_config(told, scrape_interval, extra_config, external_labels or {})
        self._server = Program(
            self._command(flags),
            self._directory / "log",
            cwd=self._directory,
            env={**os.environ, **(env or {})},
        )
        try:
            self._server.start()
            self._server.wait_ready(lambda: http.answers(f"{self.url}/-/ready"), READY_TIMEOUT)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def installed() -> str | None:
        """Return in words what is missing to run Prometheus here, or None."""
        for program in (chosen().program, "promtool"):
            if shutil.which(program) is None:
                return f"{program} is not installed"
        return None

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._server.pid

    @property
    def config_file(self) -> Path:
        """The configuration it was started with."""
        return self._directory / "prometheus.yml"

    def _token_file(self, token: str) -> Path:
        file = self._directory / "token"
        file.write_text(token)
        return file

    def _write_config(
        self,
        scrapes: Sequence[Mapping[str, Any]],
        interval: str,
        extra: str,
        labels: Mapping[str, str],
    ) -> None:
        # The values are JSON, which is YAML too and needs no library.
        settings = {
            "scrape_interval": interval,
            "evaluation_interval": interval,
            "external_labels": dict(labels),
        }
        self.config_file.write_text(
            f"global: {json.dumps(settings)}\nscrape_configs: {json.dumps(scrapes)}\n{extra}"
        )

    def _command(self, flags: Sequence[str]) -> list[str]:
        return [
            self._program,
            f"--config.file={self.config_file}",
            f"--storage.tsdb.path={self._directory}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            *self._release.flags,
            *flags,
        ]

    def _ask(self, path: str, **parameters: str) -> Any:
        answer = http.get(f"{self.url}/api/v1/{path}", parameters).json()
        if answer["status"] != "success":
            raise ServiceError(f"prometheus: {answer['error']}")
        return answer["data"]

    def query(self, expression: str, at: float | None = None) -> Vector:
        """Evaluate an instant query, now or `at` a time; return labels and value of each series."""
        when = {} if at is None else {"time": f"{at:.3f}"}
        data = self._ask("query", query=expression, **when)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def query_range(
        self, expression: str, start: float, end: float, step: float
    ) -> list[tuple[dict[str, str], list[float]]]:
        """Evaluate a query at each step of a time; return labels and values of each series."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        data = self._ask("query_range", query=expression, **times)
        return [
            (series["metric"], [float(value) for _, value in series["values"]])
            for series in data["result"]
        ]

    def sample_times(self, selector: str) -> list[float]:
        """Return when the samples of one series were taken, of the last hour."""
        (series,) = self._ask("query", query=f"{selector}[1h]")["result"]
        return [time for time, _ in series["values"]]

    def history(
        self, selector: str, window: str = "1m"
    ) -> list[tuple[dict[str, str], dict[float, float]]]:
        """Return the samples of the last minute of each series, by their times."""
        return [
            (series["metric"], {time: float(value) for time, value in series["values"]})
            for series in self._ask("query", query=f"{selector}[{window}]")["result"]
        ]

    def wait_for(
        self, expression: str, predicate: Callable[[Vector], bool] = bool, timeout: float = 20
    ) -> Vector:
        """Repeat the query until its result satisfies `predicate`, and return that result.

        Without a predicate the first result that is not empty will do.
        """
        result: Vector = []

        def satisfied() -> bool:
            result[:] = self.query(expression)
            return predicate(result)

        try:
            wait_until(satisfied, timeout, interval=0.1)
        except ServiceError as error:
            targets = [
                f"{it['scrapeUrl']}: {it['lastError'] or it['health']}" for it in self.targets()
            ]
            raise ServiceError(
                f"{expression} gave {result} for {timeout:g} s; targets: {targets}"
            ) from error
        return result

    def exemplars(self, selector: str) -> list[dict[str, Any]]:
        """Return the exemplars of the last hour: `seriesLabels` and `exemplars` of each series."""
        now = time.time()
        found: list[dict[str, Any]] = self._ask(
            "query_exemplars", query=selector, start=str(now - 3600), end=str(now + 60)
        )
        return found

    def alert_names(self) -> list[str]:
        """Return the names of the alerts that it has rules for."""
        groups = self._ask("rules", type="alert")["groups"]
        return sorted({rule["name"] for group in groups for rule in group["rules"]})

    def targets(self) -> list[dict[str, Any]]:
        """Return the scraped targets: `scrapeUrl`, `health`, `lastError`, `labels` and others."""
        active: list[dict[str, Any]] = self._ask("targets", state="active")["activeTargets"]
        return active

    def reload(self) -> None:
        """Have it read its configuration and rules again."""
        os.kill(self.pid, signal.SIGHUP)

    def close(self) -> None:
        """Stop the server and remove its storage."""
        self._server.stop()
        remove_directory(self._directory)


def promtool(
    *arguments: str,
    stdin: str = "",
    timeout: float = 60,
    joined: bool = False,
    program: str | Path = "promtool",
) -> subprocess.CompletedProcess[str]:
    """Run promtool and return its exit code and output, without judging them.

    joined: what it says in standard error stands in standard output, in the order in which it does.
    program: which one, where it is not the one of the system.
    """
    return subprocess.run(
        [str(program), *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if joined else subprocess.PIPE,
        text=True,
        # It runs for a moment: collecting garbage on several cores costs more than it gives.
        env=os.environ | {"GOGC": "off", "GOMEMLIMIT": "1GiB", "GOMAXPROCS": "1"},
        timeout=timeout,
        check=False,
    )
