"""Where a measured process runs: an environment and a metrics directory of its own."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
_SHARED_MEMORY = Path("/dev/shm")


def environment(directory: Path, **more: str) -> dict[str, str]:
    """Return the whole environment of a measured process, so that no setting of ours slips in."""
    metrics = directory / "metrics"
    metrics.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "DATABASE_URL": f"sqlite:///{directory}/benchmark.db",
        **more,
    }


@contextmanager
def temporary() -> Iterator[Path]:
    """Give a directory that goes with the block; in memory where there is some to write to.

    The disk is not what is measured, and a machine's /tmp may be one.
    """
    parent = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=parent) as name:
        yield Path(name)
