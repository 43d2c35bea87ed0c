"""Every change to the directory's files, each announced to `step` just before it happens.

The test of kills puts a function of its own in the place of `step`. A change made elsewhere would
escape that test.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.telemetry.directory import layout

step: Callable[[str], None] = lambda name: None  # noqa: E731


def write(path: Path, content: bytes) -> None:
    """Write a file so that under its name there is all of it or nothing.

    No fsync: this guards against the death of processes, not of the machine, whose start finds
    nobody in the directory and empties it.
    Raises: OSError, the disk being full among them; then nothing has changed.
    """
    aside = path.with_name(path.name + layout.ASIDE)
    try:
        _write_aside(aside, content)
        step(f"rename {aside.name}")
        aside.rename(path)
    except OSError:
        with suppress(OSError):
            aside.unlink()
        raise


def _write_aside(aside: Path, content: bytes) -> None:
    step(f"create {aside.name}")
    with aside.open("wb") as file:
        step(f"allocate {aside.name}")
        # All of the space or none, before the first byte: somebody may map this file.
        os.posix_fallocate(file.fileno(), 0, len(content))
        step(f"write {aside.name}")
        file.write(content)


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
