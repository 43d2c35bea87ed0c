"""Whether a directory's disk has room, and lets us write."""

import errno
import os
from pathlib import Path

NONE_LEFT = frozenset({errno.EMFILE, errno.ENFILE})
"""What the system says where no descriptor is left."""

# Not every file system has files without a name; and a process that has no descriptor left for one
# says nothing of the disk.
_LOOK_INSTEAD = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS} | NONE_LEFT


def allocate(directory: Path, size: int) -> None:
    """Take up `size` bytes in the directory and give them back: nothing is left, whoever is killed.

    Raises: OSError (no room, no right, read-only, not there).
    """
    try:
        descriptor = os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in _LOOK_INSTEAD:
            raise
        _look(directory, size)
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)


def _look(directory: Path, size: int) -> None:
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    found = os.statvfs(directory)
    if found.f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    if found.f_bavail * found.f_frsize < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
