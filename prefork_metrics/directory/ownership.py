"""Whose the directory is: one web server's at a time, with the agents beside it.

Two servers in one directory would be added up, on every panel. So the master of a server holds a
lock for as long as it lives. Its workers let go of it: those that outlive a killed master must not
keep the next one out. A binary upgrade hands the lock down, so that it has no gap.
"""

import fcntl
import json
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prefork_metrics.directory import layout
from prefork_metrics.errors import MetricsDirectoryInUseError

_MOST_BYTES = 4096


class Ownership:
    """The lock of a web server's master; keep it for the life of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, directory: Path, listening_on: str) -> "Ownership":
        """Take the lock. Raises: MetricsDirectoryInUseError, which says whose it is; OSError."""
        descriptor = os.open(directory / layout.OWNER, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _described(os.pread(descriptor, _MOST_BYTES, 0))
            os.close(descriptor)
            raise MetricsDirectoryInUseError(
                f"PROMETHEUS_MULTIPROC_DIR={directory} is another web server's{owner}, and "
                "the numbers of both would be mixed: stop that one, or give this one a directory "
                "of its own."
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        _describe(descriptor, listening_on)
        return cls(descriptor)

    def hand_down(self) -> str:
        """Let a program that this process becomes inherit the lock; return what to tell it."""
        assert self._descriptor is not None
        os.set_inheritable(self._descriptor, True)
        return str(self._descriptor)

    @classmethod
    def inherited(cls, told: str) -> "Ownership":
        """Return the lock that the program before handed down."""
        descriptor = int(told)
        os.set_inheritable(descriptor, False)
        return cls(descriptor)

    def forget(self) -> None:
        """Close the descriptor: another process that has it too keeps the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_owned(directory: Path) -> bool:
    """Tell whether a web server of this directory runs. Raises: OSError."""
    try:
        descriptor = os.open(directory / layout.OWNER, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Owner:
    """The web server that holds the lock, as it has described itself; 0 and "" where it could not.

    Attributes: process (of the master, as its own host numbers it), host, listening_on.
    """

    process: int = 0
    host: str = ""
    listening_on: str = ""


def owner_of(directory: Path) -> Owner | None:
    """Return whose web server runs with the directory; None where none does. Raises: OSError."""
    if not is_owned(directory):
        return None
    try:
        told = json.loads((directory / layout.OWNER).read_bytes()[:_MOST_BYTES])
        return Owner(int(told["process"]), str(told["host"]), str(told["listening_on"]))
    except (ValueError, KeyError, TypeError):
        return Owner()


def _describe(descriptor: int, listening_on: str) -> None:
    """Write down who holds the lock, where there is room for it."""
    text = json.dumps(
        {"process": os.getpid(), "host": socket.gethostname(), "listening_on": listening_on}
    )
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _described(content: bytes) -> str:
    try:
        told = json.loads(content)
        return f" (process {told['process']} on {told['host']}, {told['listening_on']})"
    except (ValueError, KeyError, TypeError):
        return ""
