"""Runs the long-running processes of the Procfile, and stops them together.

They write to our own output, where each line says whose it is.
"""

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

# The `release` process of a Procfile is run once before a release, not along with the others.
_RELEASE = "release"
_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$", re.MULTILINE)
_POLL_SECONDS = 0.1
# Beyond the deadline that the processes keep themselves.
_MARGIN_SECONDS = 5
# What a shell makes of an end by signal.
_BY_SIGNAL = 128
_Process = subprocess.Popen[bytes]


def long_running(procfile: Path) -> dict[str, str]:
    """Return name and command of each process that `procfile` keeps running."""
    found = dict(_LINE.findall(procfile.read_text()))
    return {name: command for name, command in found.items() if name != _RELEASE}


def run(commands: Iterable[str], environment: Mapping[str, str], patience: float) -> int:
    """Run the commands until one of them ends or a signal comes, then stop the others.

    Args:
        patience: Seconds that a process may take to end after SIGTERM, before it is killed.
    Returns: the exit code: 0 where it was told to stop, by SIGTERM or Ctrl-C, else that of what
        ended first.
    """
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: received.append(number))
    running = [_start(command, environment) for command in commands]
    while not received and not (ended := _ended(running)):
        time.sleep(_POLL_SECONDS)
    _stop(running, patience + _MARGIN_SECONDS)
    if received:
        return 0
    code = int(ended[0].returncode)
    return code if code >= 0 else _BY_SIGNAL - code


def _start(command: str, environment: Mapping[str, str]) -> _Process:
    """Start a command in a session of its own: Ctrl-C reaches it by us, once."""
    return subprocess.Popen(shlex.split(command), env=environment, start_new_session=True)


def _ended(running: Iterable[_Process]) -> list[_Process]:
    return [process for process in running if process.poll() is not None]


def _stop(running: list[_Process], patience: float) -> None:
    """Ask all to end, and kill what has not after `patience` seconds, with all that it started."""
    for process in running:
        process.terminate()
    ends_at = time.monotonic() + patience
    for process in running:
        try:
            process.wait(max(0.0, ends_at - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
