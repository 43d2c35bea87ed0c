"""Runs the long-running processes of the Procfile, and stops them together.

honcho does the work; what it has no option for is set here: it kills what has not ended five
seconds after SIGTERM, which would cut off requests that a stopping server still answers.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from honcho import environ, manager
from honcho.printer import Printer

# The `release` process of a Procfile is run once before a release, not along with the others.
_RELEASE = "release"
# Exit code of honcho after SIGTERM: it was asked for, and so is no failure.
_TERMINATED = 143
# Beyond the deadline that the processes keep themselves.
_MARGIN_SECONDS = 5


def long_running(procfile: Path) -> dict[str, str]:
    """Return name and command of each process that `procfile` keeps running."""
    processes: dict[str, str] = environ.parse_procfile(procfile.read_text()).processes
    return {name: command for name, command in processes.items() if name != _RELEASE}


def run(commands: Mapping[str, str], environment: Mapping[str, str], patience: float) -> int:
    """Run the commands until one of them ends or a signal comes, then stop the others.

    Args:
        patience: Seconds that a process may take to end after SIGTERM, before it is killed.
    Returns: the exit code: 0 after SIGTERM, 130 after Ctrl-C, else that of what ended first.
    """
    # honcho's loop reads it each time.
    manager.KILL_WAIT = patience + _MARGIN_SECONDS
    processes = manager.Manager(Printer(sys.stdout, colour=False, prefix=False))
    for name, command in commands.items():
        # Without a shell between, which would hide how the process ended.
        processes.add_process(name, f"exec {command}", env=dict(environment))
    processes.loop()
    return 0 if processes.returncode == _TERMINATED else int(processes.returncode)
