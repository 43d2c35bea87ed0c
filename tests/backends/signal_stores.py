"""Where the programs lie that keep traces, logs and metrics; see scripts/install-signal-stores."""

from pathlib import Path

PLACE = Path("/var/cache/vibebox-tests/signal-stores")


def program(name: str) -> Path:
    """Return the path of a program that is built from its module, such as `jaeger`."""
    return PLACE / name


def missing(name: str) -> str | None:
    """Return in words that it is not there, or None."""
    return None if program(name).is_file() else f"{program(name)} is not there"
