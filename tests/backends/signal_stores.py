"""Where the programs lie that keep traces, logs and metrics; see scripts/install-signal-stores."""

import os
import shutil
from pathlib import Path

PLACE = Path("/var/cache/vibebox-tests/signal-stores")


def program(name: str) -> Path:
    """Return the path of a program that is built from its module, such as `jaeger`."""
    return PLACE / name


def newer_path() -> str:
    """Return a PATH on which the programs of Debian's testing release come first."""
    newer = PLACE / "testing/usr"
    return f"{newer}/sbin:{newer}/bin:{os.environ['PATH']}"


def missing_newer(name: str) -> str | None:
    """Return in words that a program of Debian's testing release is not there, or None."""
    found = shutil.which(name, path=newer_path()) or ""
    return None if found.startswith(str(PLACE)) else f"{name} of Debian's testing is not in {PLACE}"


def missing(name: str) -> str | None:
    """Return in words that it is not there, or None."""
    return None if program(name).is_file() else f"{program(name)} is not there"
