"""Who lives in the directory: whoever holds the lock of its marker, and only the kernel decides.

The kernel releases the lock when the last thread of the process has let go of its files, and that
comes after it has let go of the memory (do_exit: exit_mm, then exit_files). So once a member is
seen dead, nothing writes to its files any more, and all that it wrote is there to read. That holds
across containers that share the directory, and a pid that repeats means nothing.
"""

import fcntl
import os
import stat
import uuid
from contextlib import suppress
from pathlib import Path

from prefork_metrics.directory import disk, layout, locks

_JOINING_WAIT = 30.0
"""Seconds to wait for the lock. A process that does not get in cannot count: better late."""


_MODE = 0o644
_HIDDEN = stat.S_IXUSR
"""A bit of the marker's mode: to set it needs no room on the disk."""


class Membership:
    """A process's place in the directory; keep it for the life of the process.

    `name` never repeats. A process that forks keeps its place: the child calls `forget()`, and
    until then (or until it ends) it keeps its parent's place occupied.
    """

    def __init__(self, directory: Path, wait: float = _JOINING_WAIT) -> None:
        """Join. Raises: MetricsDirectoryBusyError after `wait` seconds; OSError."""
        self.name = uuid.uuid4().hex
        self._path = layout.marker_path(directory, self.name)
        # Under the directory's lock, since a marker that is made but not yet locked looks dead.
        with locks.exclusive(directory, wait):
            disk.step(f"create {self._path.name}")
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
            self._descriptor: int | None = os.open(self._path, flags, 0o666)
            disk.step(f"lock {self._path.name}")
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def stands(self) -> bool:
        """Whether the marker is still where others look for it; False after the place is given up.

        Where that cannot be told, it is.
        """
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    def hide(self, hidden: bool) -> None:
        """Say by the marker that nothing of this process can be seen, or that it can."""
        if self._descriptor is not None:
            with suppress(OSError):  # a file system without modes: then it is not told
                os.fchmod(self._descriptor, _MODE | _HIDDEN if hidden else _MODE)

    def leave(self) -> None:
        """Give up the place: what this process still writes from now on may be lost.

        Ending the process does as well. Doing it again does nothing.
        """
        if self._descriptor is not None:
            # Without a marker the values are the dead's already; the next absorption has them.
            disk.remove(self._path)
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self.forget()

    def forget(self) -> None:
        """Close the descriptor that a fork inherited; the parent keeps its place."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_hidden(marker: Path | None) -> bool:
    """Tell whether a member has said by its marker that nothing of it can be seen."""
    try:
        return marker is not None and bool(marker.stat().st_mode & _HIDDEN)
    except OSError:
        return False


def is_live(marker: Path | None) -> bool:
    """Tell whether somebody holds the marker. Hold the directory's lock meanwhile.

    Raises: OSError.
    """
    if marker is None:
        return False
    try:
        # Without O_NONBLOCK a FIFO under such a name would hold up everybody for ever.
        descriptor = os.open(marker, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True  # Somebody else's, and not ours to absorb.
    try:
        # Shared, so that two who ask at a time do not take each other for the member.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False
    finally:
        os.close(descriptor)
