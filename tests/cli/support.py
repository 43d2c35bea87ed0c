"""The command line as somebody runs it: a process of its own, with a HOME of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO

from tests.backends import warm
from tests.backends.programs import wait_until

COMMAND = [sys.executable, "-m", "app.cli"]
PASSWORD = "correct horse battery"
PATIENCE = 60.0
Result = subprocess.CompletedProcess[str]


class Person:
    """Somebody at a keyboard, or a program of theirs; `env` is added to their environment."""

    def __init__(self, home: Path, url: str, **env: str) -> None:
        home.mkdir(exist_ok=True)
        self.home = home
        self.url = url
        self.env = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "VIBEBOX_URL": url,
            **env,
        }
        self.file = home / ".config" / "vibebox" / "credentials.json"

    def run(self, *arguments: str, stdin: str = "", **env: str) -> Result:
        """Run a command to its end."""
        command = [*COMMAND, *arguments]
        with TemporaryFile() as given, TemporaryFile() as stdout, TemporaryFile() as stderr:
            given.write(stdin.encode())
            given.seek(0)
            child = _start(command, {**self.env, **env}, given, stdout, stderr)
            try:
                code = child.wait(PATIENCE)
            finally:
                child.kill()
            return Result(command, code, _written(stdout), _written(stderr))

    def good(self, *arguments: str, stdin: str = "") -> Result:
        """Run a command that succeeds."""
        result = self.run(*arguments, stdin=stdin)
        assert result.returncode == 0, result.stdout + result.stderr
        return result

    def json(self, *arguments: str) -> Any:
        """Run a command with --json and return its one document."""
        return json.loads(self.good(*arguments, "--json").stdout)

    def refused(self, code: int, *arguments: str, stdin: str = "", **env: str) -> str:
        """Run a command that fails with that code; return what it says, which is no traceback."""
        result = self.run(*arguments, stdin=stdin, **env)
        assert result.returncode == code, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        return result.stderr

    def login(self, email: str, *options: str) -> Result:
        """Log in, with the password on standard input."""
        return self.good(
            "login", "--email", email, "--password-stdin", *options, stdin=f"{PASSWORD}\n"
        )

    def stored(self) -> dict[str, Any]:
        """Return the login that is stored for the service."""
        return dict(json.loads(self.file.read_text())[self.url])

    def change_stored(self, **fields: Any) -> None:
        """Change the stored login."""
        self.file.write_text(json.dumps({self.url: {**self.stored(), **fields}}))

    @contextmanager
    def running(self, *arguments: str, **env: str) -> Iterator["Running"]:
        """A command that goes on meanwhile."""
        with Running(self, arguments, env) as running:
            yield running


def _start(
    command: list[str], env: Mapping[str, str], stdin: IO[Any], stdout: IO[Any], stderr: IO[Any]
) -> subprocess.Popen[bytes] | warm.Child:
    """Start a command with the libraries loaded, where that is the same (see `warm`)."""
    if not warm.fits(command, env):
        return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=env)
    return warm.start(
        command,
        env=env,
        cwd=Path.cwd(),
        streams=(stdin.fileno(), stdout.fileno(), stderr.fileno()),
        stop_signal=signal.SIGKILL,
    )


def _written(file: BinaryIO) -> str:
    file.seek(0)
    with TextIOWrapper(file) as text:  # as `text=True` of subprocess has it
        return text.read()


class Running:
    """A process whose output goes to files, so that nobody has to drain it."""

    def __init__(self, person: Person, arguments: tuple[str, ...], env: dict[str, str]) -> None:
        self._files = [person.home / name for name in ("stdout", "stderr")]
        with self._files[0].open("w") as stdout, self._files[1].open("w") as stderr:
            with open(os.devnull, "rb") as nothing:
                command = [*COMMAND, *arguments]
                self._process = _start(command, {**person.env, **env}, nothing, stdout, stderr)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_details: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def stdout(self) -> str:
        return self._files[0].read_text()

    @property
    def stderr(self) -> str:
        return self._files[1].read_text()

    def until(self, text: str, *, err: bool = False) -> None:
        """Wait until that was written."""
        wait_until(
            lambda: text in (self.stderr if err else self.stdout),
            PATIENCE,
            otherwise=lambda: f"no {text!r} in:\n{self.stdout[-2000:]}\n{self.stderr[-2000:]}",
        )

    def interrupt(self) -> int:
        """Press Ctrl-C, and return the exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(PATIENCE)

    def ended(self) -> int:
        """Wait for the end, and return the exit code."""
        return self._process.wait(PATIENCE)
