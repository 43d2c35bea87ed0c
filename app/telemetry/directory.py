"""The directory through which the processes share their metrics.

Each process that writes into it holds a lock on a marker of its own. The kernel releases the lock
when the process ends, however that comes; so who lives is never guessed from a pid, and it holds
across containers that share the directory. The files of live processes are never deleted: the
directory is emptied only by a start that finds nobody in it.

gunicorn's master imports this module before PROMETHEUS_MULTIPROC_DIR is final, and the client
library reads that variable when it is imported: hence its import inside `mark_dead`.
"""

import fcntl
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import MetricsDirectoryError

_VALUES = re.compile(r"(counter|histogram|summary|gauge_[a-z]+)_.+\.db")
_MARKER = re.compile(r"member_.+\.lock")
_DOOR = "door.lock"


class Membership:
    """A process's place in the directory; keep it for the life of the process."""

    def __init__(self, directory: Path) -> None:
        """Join. Raises: OSError where the directory cannot be written."""
        with _door(directory):
            self._path = directory / f"member_{uuid.uuid4().hex}.lock"
            self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def leave(self) -> None:
        """Give up the place in good order."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def forget(self) -> None:
        """Close the descriptor that a fork inherited; the parent keeps its place."""
        os.close(self._descriptor)


def prepare(directory: Path) -> int:
    """Make, check and, where nobody lives in it, clean the directory.

    Returns: how many live members were found (0: it holds no values now).
    Raises: MetricsDirectoryError, with one sentence for the operator.
    """
    _make(directory)
    _check(directory)
    with _door(directory):
        live = sum(not _is_dead(marker) for marker in _matching(directory, _MARKER))
        if live == 0:
            for file in _matching(directory, _VALUES):
                file.unlink(missing_ok=True)
    return live


def mark_dead(directory: Path, pid: int) -> None:
    """Drop the live gauges of a process that ended; its counters stay."""
    from prometheus_client.multiprocess import mark_process_dead  # see the module's docstring

    mark_process_dead(pid, str(directory))


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MetricsDirectoryError(
            f"PROMETHEUS_MULTIPROC_DIR={directory} cannot be made ({error.strerror}): "
            "name a directory that this user may write."
        ) from error


def _check(directory: Path) -> None:
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise MetricsDirectoryError(
            f"PROMETHEUS_MULTIPROC_DIR={directory} cannot be written by this user: "
            "change its owner or name another directory."
        )
    strangers = sorted(file.name for file in directory.iterdir() if not _ours(file))
    if strangers:
        shown = ", ".join(strangers[:3]) + (", …" if len(strangers) > 3 else "")
        raise MetricsDirectoryError(
            f"PROMETHEUS_MULTIPROC_DIR={directory} holds other things ({shown}): "
            "name a directory of its own, since VibeBox deletes files in it."
        )


def _ours(file: Path) -> bool:
    return bool(_VALUES.fullmatch(file.name) or _MARKER.fullmatch(file.name) or file.name == _DOOR)


@contextmanager
def _door(directory: Path) -> Iterator[None]:
    """One at a time joins or cleans: a marker that is made but not yet locked looks dead."""
    descriptor = os.open(directory / _DOOR, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _matching(directory: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
    return (file for file in directory.iterdir() if pattern.fullmatch(file.name))


def _is_dead(marker: Path) -> bool:
    """Tell whether nobody holds the marker; a dead one's marker is removed."""
    try:
        descriptor = os.open(marker, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        marker.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)
