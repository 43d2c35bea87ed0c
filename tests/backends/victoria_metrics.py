"""The real VictoriaMetrics, which takes metrics by OTLP."""

import json
import os
from pathlib import Path

from tests.backends import http
from tests.backends.programs import Program, free_port
from tests.backends.scratch import new_directory, remove_directory
from tests.backends.signal_stores import PLACE

READY_TIMEOUT = 30.0
_PROGRAM = PLACE / "testing" / "usr" / "bin" / "victoria-metrics"
# Of the release that it was built for, newer than the system's.
_LIBRARIES = PLACE / "testing" / "usr" / "lib" / "x86_64-linux-gnu"


class VictoriaMetrics:
    """A VictoriaMetrics with its own storage, on a free port of this host."""

    def __init__(self) -> None:
        self._directory = new_directory("victoria-metrics")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = Program(
            [
                str(_PROGRAM),
                f"-storageDataPath={self._directory}/data",
                f"-httpListenAddr=127.0.0.1:{self.port}",
            ],
            self._directory / "log",
            cwd=self._directory,
            env={**os.environ, "LD_LIBRARY_PATH": str(_LIBRARIES), "GOMAXPROCS": "2"},
        )
        try:
            self._server.start()
            self._server.wait_ready(lambda: http.answers(f"{self.url}/health"), READY_TIMEOUT)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def installed() -> str | None:
        """Return in words what is missing to run VictoriaMetrics here, or None."""
        return None if Path(_PROGRAM).is_file() else f"{_PROGRAM} is not there"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._server.pid

    def history(self, selector: str) -> list[tuple[dict[str, str], dict[float, float]]]:
        """Return all samples of each series, by their times."""
        http.get(f"{self.url}/internal/force_flush").raise_for_status()
        answer = http.get(f"{self.url}/api/v1/export", {"match[]": selector})
        answer.raise_for_status()
        found = []
        for line in answer.text.splitlines():
            series = json.loads(line)
            times = [time / 1000 for time in series["timestamps"]]
            # None stands for no number, "Infinity" for itself.
            values = (float("nan" if value is None else value) for value in series["values"])
            found.append((series["metric"], dict(zip(times, values, strict=True))))
        return found

    def close(self) -> None:
        """Stop the server and remove its storage."""
        self._server.stop()
        remove_directory(self._directory)
