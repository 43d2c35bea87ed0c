"""The real Alertmanager, routing what a test posts to it or Prometheus sends."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from tests.backends import http
from tests.backends.programs import Program, ServiceError, free_port
from tests.backends.scratch import new_directory, remove_directory

PROGRAM = "prometheus-alertmanager"
READY_TIMEOUT = 30.0


class Alertmanager:
    """An Alertmanager with its own storage and no peers, on a free port of this host.

    Args:
        config: YAML text of the whole configuration (JSON is YAML too).
        files: further files beside the configuration by name, such as a receiver's token; the
            configuration names them relative to itself.
        flags: further command-line flags.
        program: which one, where it is not the one of the system.
    """

    def __init__(
        self,
        config: str,
        *,
        files: Mapping[str, str] | None = None,
        flags: Sequence[str] = (),
        program: str | Path = PROGRAM,
    ) -> None:
        self._program = str(program)
        self._directory = new_directory("alertmanager")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        for name, text in (files or {}).items():
            (self._directory / name).write_text(text)
        self.config_file.write_text(config)
        self._server = Program(self._command(flags), self._directory / "log", cwd=self._directory)
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start it, also again after a `stop`, and wait until it is ready."""
        self._server.start()
        self._server.wait_ready(lambda: http.answers(f"{self.url}/-/ready"), READY_TIMEOUT)

    def stop(self) -> None:
        """Stop it and keep its storage."""
        self._server.stop()

    @staticmethod
    def installed() -> str | None:
        """Return in words what is missing to run Alertmanager here, or None."""
        for program in (PROGRAM, "amtool"):
            if shutil.which(program) is None:
                return f"{program} is not installed"
        return None

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._server.pid

    @property
    def target(self) -> str:
        """Its address, as `alerting:` in the configuration of Prometheus wants it."""
        return f"127.0.0.1:{self.port}"

    @property
    def config_file(self) -> Path:
        """The configuration it was started with, or has now after a `reload`."""
        return self._directory / "alertmanager.yml"

    def _command(self, flags: Sequence[str]) -> list[str]:
        return [
            self._program,
            f"--config.file={self.config_file}",
            f"--storage.path={self._directory}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            *flags,
        ]

    def reload(self, config: str) -> None:
        """Have it take another configuration; raise ServiceError where it does not want it."""
        self.config_file.write_text(config)
        self._post("/-/reload")

    def post(
        self,
        labels: Mapping[str, str],
        annotations: Mapping[str, str] | None = None,
        *,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
        generator_url: str = "",
    ) -> None:
        """Post one alert as Prometheus does; one whose `ends_at` is past is resolved by that."""
        self.post_all([self._alert(labels, annotations, starts_at, ends_at, generator_url)])

    def post_all(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Post alerts as they are: `labels`, and what else Prometheus would say of each."""
        self._post("/api/v2/alerts", list(alerts))

    @staticmethod
    def _alert(
        labels: Mapping[str, str],
        annotations: Mapping[str, str] | None,
        starts_at: datetime | None,
        ends_at: datetime | None,
        generator_url: str,
    ) -> dict[str, Any]:
        alert: dict[str, Any] = {
            "labels": dict(labels),
            "annotations": dict(annotations or {}),
            "generatorURL": generator_url,
        }
        for name, moment in (("startsAt", starts_at), ("endsAt", ends_at)):
            if moment is not None:
                alert[name] = moment.isoformat()
        return alert

    def alerts(self, *matchers: str) -> list[dict[str, Any]]:
        """Return the alerts that it holds and has not seen resolved, inhibited ones among them.

        `matchers` are such as `alertname="ServiceDown"`; all must match. Each alert has `labels`,
        `annotations`, `startsAt`, `endsAt`, `fingerprint`, `receivers` and
        `status` (`state`: active, suppressed or unprocessed; `inhibitedBy`).
        """
        answer = self._send("GET", "/api/v2/alerts", params={"filter": matchers})
        found: list[dict[str, Any]] = answer.json()
        return found

    def _post(self, path: str, body: Any = None) -> None:
        self._send("POST", path, json=body)

    def _send(self, method: str, path: str, **named: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, f"{self.url}{path}", timeout=10, **named)
        if answer.status_code != 200:
            raise ServiceError(f"alertmanager: {answer.status_code} {answer.text.strip()}")
        return answer

    def close(self) -> None:
        """Stop the server and remove its storage."""
        self._server.stop()
        remove_directory(self._directory)


def amtool(
    *arguments: str, timeout: float = 60, program: str = "amtool"
) -> subprocess.CompletedProcess[str]:
    """Run amtool and return its exit code and output, without judging them."""
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )
