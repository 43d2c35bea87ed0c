"""One exporter of a directory works, the others wait: with as little loaded as that takes."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE = 1.0


@contextmanager
def held(directory: Path, stopping: threading.Event) -> Iterator[bool]:
    """Wait to be the only exporter of the directory; tell whether this one is.

    The kernel passes the lock on when its holder dies. Raises: OSError.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = os.open(directory / "exporter.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not stopping.is_set():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                stopping.wait(_PAUSE)
                continue
            yield True
            return
        yield False
    finally:
        os.close(file)
