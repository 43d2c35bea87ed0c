"""Results of programs that are pure functions of what they are given, kept from run to run.

Each is a file in the user's cache, named by the SHA-256 of all that the result depends on: the
program and its version, its arguments and the text of its files. Whatever of that changes makes
another name, so nothing here is ever out of date. REMEMBER=false computes everything anew.
"""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

PLACE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vibebox-tests"
RESULTS = PLACE / "results"
REMEMBER = os.environ.get("REMEMBER") != "false"
_UNUSED_SECONDS = 30 * 24 * 3600.0

Completed = subprocess.CompletedProcess[str]


class Spent:
    """The seconds that went into results which the next run finds here; see `ledger`."""

    seconds = 0.0

    @classmethod
    def take(cls) -> float:
        """Return what was spent since the last call."""
        seconds, cls.seconds = cls.seconds, 0.0
        return seconds


@contextlib.contextmanager
def spent_once() -> Iterator[None]:
    """Have what the block takes counted among that."""
    begun = time.monotonic()
    yield
    Spent.seconds += time.monotonic() - begun


@cache
def version_of(program: str) -> str:
    """Return what a program says of its version."""
    ran = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    return ran.stdout + ran.stderr


def completed(
    inputs: Any, run: Callable[[], Completed], trusted: Callable[[Completed], bool]
) -> Completed:
    """Return how a program ended that was given these `inputs` (JSON), by running it if need be.

    Only what is `trusted` is kept: an end that says something about the inputs, and not about a
    machine without memory or disk.
    """
    if (kept := recalled(inputs)) is not None:
        return kept
    begun = time.monotonic()
    done = run()
    if trusted(done):
        remember(inputs, done, time.monotonic() - begun)
    return done


def recalled(inputs: Any) -> Completed | None:
    """Return how a program ended that was given these `inputs` (JSON); None where none was."""
    kept = _read(_file_of(inputs)) if REMEMBER else None
    if kept is None:
        return None
    return subprocess.CompletedProcess([], kept["returncode"], kept["stdout"], kept["stderr"])


def remember(inputs: Any, done: Completed, seconds: float) -> None:
    """Keep how a program ended, which took so long."""
    if REMEMBER:
        told = {"returncode": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
        _write(_file_of(inputs), told)
        Spent.seconds += seconds


def _file_of(inputs: Any) -> Path:
    name = sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return RESULTS / name[:2] / f"{name[2:]}.json"


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text())
        os.utime(file)
    except (OSError, ValueError):
        return None
    return found if set(found) == {"returncode", "stdout", "stderr"} else None


def _write(file: Path, told: dict[str, Any]) -> None:
    """Write whole or not at all: another process may be at the same."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=file.parent, delete=False) as written:
        written.write(json.dumps(told))
    os.replace(written.name, file)


def forget_unused() -> None:
    """Remove what no run has asked for in a month."""
    oldest = time.time() - _UNUSED_SECONDS
    for file in RESULTS.glob("*/*"):
        with contextlib.suppress(OSError):  # another run removes it too
            if file.stat().st_mtime < oldest:
                file.unlink()
