"""The agent as the tests start it, beside a web server of theirs."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.backends.programs import Program, tail, wait_until
from tests.backends.web import MEASURED_SECONDS, MEASURING, ROOT, WebServer

COMMAND = [sys.executable, "-m", "app.cli", "agent"]
HURRIED = [sys.executable, "-m", "tests.backends.hurried_agent"]
READY_TIMEOUT = 30.0
STOP_TIMEOUT = 20.0


class Agent:
    """One agent process; `env` is that of a `WebServer`, with which it shares everything."""

    def __init__(self, env: Mapping[str, str], log: Path, command: Sequence[str] = COMMAND) -> None:
        self.log = log
        self.env = dict(env)
        self._program = Program(command, log, warm=True, name="agent", env=self.env, cwd=ROOT)

    @classmethod
    def beside(
        cls,
        server: WebServer,
        name: str = "agent",
        command: Sequence[str] = COMMAND,
        **settings: str,
    ) -> "Agent":
        """Return an agent with the environment of `server`, but for `settings`."""
        return cls({**server.env, **settings}, server.log.with_name(f"{name}.log"), command)

    def start(self, leading: bool = True) -> "Agent":
        """Start the process, and wait until it leads."""
        seen = self.events("leading")
        self._program.start()
        if leading:
            self._program.wait_ready(lambda: self.events("leading") > seen, READY_TIMEOUT)
        return self

    @property
    def pid(self) -> int:
        return self._program.pid

    @property
    def running(self) -> bool:
        return self._program.running

    def kill(self) -> None:
        """End the process without warning."""
        self._program.kill()

    def terminate(self) -> int | None:
        """Ask the process to end and return its exit code."""
        return self._program.stop(STOP_TIMEOUT)

    def wait_ended(self) -> int:
        """Wait until the process ends of its own accord and return its exit code."""
        return self._program.wait(READY_TIMEOUT)

    def suspend(self) -> None:
        """Freeze the process."""
        self._program.suspend()

    def resume(self) -> None:
        """Undo `suspend`."""
        self._program.resume()

    def heal(self) -> None:
        """Make the process run and lead, whatever a test did to it."""
        self.resume()
        if not self.running:
            self.start()

    def lines(self) -> list[dict[str, Any]]:
        """Return what the agent logged."""
        if not self.log.exists():
            return []
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def events(self, name: str) -> int:
        """Return how often an event of this name was logged."""
        return sum(line["event"] == name for line in self.lines())

    def wait_event(self, name: str, times: int = 1, timeout: float = READY_TIMEOUT) -> None:
        """Wait until the event was logged so often."""
        wait_until(lambda: self.events(name) >= times, timeout, otherwise=lambda: tail(self.log))

    def close(self) -> None:
        """Leave no process behind."""
        if MEASURING:
            self._program.stop(MEASURED_SECONDS)
        self._program.kill()
        print(f"--- {self.log} ends:\n{tail(self.log, 60)}")
