"""An OpenTelemetry Collector: Jaeger's program is one, with a configuration that says so."""

import os
from collections.abc import Mapping
from pathlib import Path

import requests

from tests.backends import http, signal_stores
from tests.backends.programs import Program
from tests.backends.scratch import new_directory, remove_directory

READY_TIMEOUT = 30.0
RENAMED = {"otlp_http": "otlphttp"}
"""Names of components, as this program still has them."""


class Collector:
    """A collector with a configuration that is shipped, on free ports of this host.

    Args:
        config: the file.
        places: what stands there in the place of addresses and paths.
        ready: an address that answers as soon as it works, below 500.
    """

    def __init__(self, config: Path, places: Mapping[str, str], ready: str) -> None:
        self._directory = new_directory("collector")
        self._ready = ready
        text = config.read_text()
        for shipped, here in (*places.items(), *RENAMED.items()):
            if shipped not in text and shipped not in RENAMED:
                raise ValueError(f"{config.name} has no {shipped}")
            text = text.replace(shipped, here)
        file = self._directory / config.name
        file.write_text(text.replace("DIRECTORY", str(self._directory)))
        self._server = Program(
            [str(signal_stores.program("jaeger")), "--config", str(file)],
            self._directory / "log",
            cwd=self._directory,
            env={"PATH": os.environ["PATH"], "HOME": str(self._directory)},
        )
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Process id of the collector."""
        return self._server.pid

    def start(self) -> None:
        """Start it, also after `kill`, and wait until it answers; harmless when it runs."""
        if not self._server.running:
            self._server.start()
            self._server.wait_ready(self._answers, READY_TIMEOUT)

    def heal(self) -> None:
        """Make it run again, whatever a test did to it."""
        self.start()

    def _answers(self) -> bool:
        try:
            return http.get(self._ready, timeout=2).status_code < 500
        except requests.RequestException:
            return False

    def kill(self) -> None:
        """End it without asking; what it has written stays."""
        self._server.kill()

    def close(self) -> None:
        """End it and remove everything that belongs to it."""
        self._server.kill()
        remove_directory(self._directory)
