"""Every change to the directory's files, each announced to `step` just before it happens.

The test of kills puts a function of its own in the place of `step`. A change made elsewhere would
escape that test.
"""

import mmap
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from prefork_metrics.directory import layout

step: Callable[[str], None] = lambda name: None  # noqa: E731


def write(path: Path, content: bytes) -> None:
    """Write a file so that under its name there is all of it or nothing.

    No fsync: this guards against the death of processes, not of the machine, whose start finds
    nobody in the directory and empties it.
    Raises: OSError, the disk being full among them; then nothing has changed.
    """
    temporary = path.with_name(path.name + layout.TEMPORARY)
    try:
        _write_temporary(temporary, content)
        step(f"rename {temporary.name}")
        temporary.rename(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def _write_temporary(temporary: Path, content: bytes) -> None:
    step(f"create {temporary.name}")
    with temporary.open("wb") as file:
        step(f"allocate {temporary.name}")
        # All of the space or none, before the first byte: somebody may map this file.
        os.posix_fallocate(file.fileno(), 0, len(content))
        step(f"write {temporary.name}")
        file.write(content)


def read(path: Path) -> bytes:
    """Return the content of a file; none where it is no regular file. Raises: OSError."""
    with open(path, "rb", opener=_open_at_once) as file:
        return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""


def _open_at_once(path: str, flags: int) -> int:
    # Without O_NONBLOCK a FIFO under such a name would hold up everybody for ever.
    return os.open(path, flags | os.O_NONBLOCK)


def mapped(path: Path, size: int, create: bool = True) -> mmap.mmap:
    """Return the file, made or grown to `size` bytes, as memory. Raises: OSError.

    The space is allocated before it is mapped: a full disk is an error here and not a SIGBUS at
    the first write. A file for which there is no space is not left behind. Without `create` the
    file must be there.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    descriptor = os.open(path, flags, 0o644)
    try:
        is_new = os.fstat(descriptor).st_size == 0
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            if is_new:
                remove(path)
            raise
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


def remove(path: Path) -> bool:
    """Delete a file; tell whether it is gone. Readers ignore what could not be deleted."""
    step(f"remove {path.name}")
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def set_aside(path: Path) -> None:
    """Take a file that cannot be read out of the way, where that is possible."""
    step(f"set aside {path.name}")
    with suppress(OSError):
        path.rename(path.with_name(path.name + layout.BAD))
