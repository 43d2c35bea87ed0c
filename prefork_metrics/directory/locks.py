"""Who may change what is counted where, and when.

A readers-writer lock: whoever reads the values holds it shared; whoever joins, absorbs, removes or
cleans holds it alone. The kernel lets new readers past a writer that waits, so that scrapes without
a pause would keep it out for ever: hence a second lock, by which writers are preferred. A writer
holds that one while it waits for the first, and a reader passes it on its way there.

Every wait is bounded: a process that is frozen with the lock in its hand (a paused container) must
not take the others with it.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefork_metrics.directory import layout
from prefork_metrics.errors import MetricsDirectoryBusyError

WAIT = 2.0
"""Seconds to wait for the lock. More: a scrape hangs longer behind a frozen process. Less: one
that waits for a large absorption fails more often."""

_FIRST_PAUSE = 0.0002
_LONGEST_PAUSE = 0.005


@contextmanager
def shared(directory: Path, wait: float = WAIT) -> Iterator[None]:
    """Keep what is in the directory where it is. Raises: MetricsDirectoryBusyError, OSError."""
    deadline = time.monotonic() + wait
    with (
        _opened(directory / layout.WRITER_PREFERENCE_LOCK) as preference,
        _opened(directory / layout.READ_WRITE_LOCK) as lock,
    ):
        _lock(preference, fcntl.LOCK_SH, deadline, directory)
        _lock(lock, fcntl.LOCK_SH, deadline, directory)
        fcntl.flock(preference, fcntl.LOCK_UN)
        yield


@contextmanager
def exclusive(directory: Path, wait: float = WAIT) -> Iterator[None]:
    """Be alone in the directory. Raises: MetricsDirectoryBusyError, OSError."""
    deadline = time.monotonic() + wait
    with (
        _opened(directory / layout.WRITER_PREFERENCE_LOCK) as preference,
        _opened(directory / layout.READ_WRITE_LOCK) as lock,
    ):
        _lock(preference, fcntl.LOCK_EX, deadline, directory)
        _lock(lock, fcntl.LOCK_EX, deadline, directory)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC, 0o666)
    try:
        yield descriptor
    finally:
        # Closing alone would leave it locked where another thread has forked meanwhile.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _lock(descriptor: int, kind: int, deadline: float, directory: Path) -> None:
    pause = _FIRST_PAUSE
    while True:
        try:
            return fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise MetricsDirectoryBusyError(
                    f"PROMETHEUS_MULTIPROC_DIR={directory} is held by another process: "
                    "see which one has its door.lock open and is stopped or stuck."
                ) from None
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
