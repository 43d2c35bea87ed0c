"""Whether the disk that the processes share their metrics through has room for them."""

import os
from pathlib import Path

from app.core.errors import MetricsDirectoryError
from prefork_metrics.directory import trouble_with


def look_at_disk() -> None:
    """Return when the metrics directory can be used. Raises: MetricsDirectoryError."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    found = trouble_with(Path(directory)) if directory else None
    if found:
        trouble, error = found
        raise MetricsDirectoryError(
            f"PROMETHEUS_MULTIPROC_DIR={directory} cannot be used ({trouble}: {error.strerror}): "
            "what new processes and new series count is not shown until it can be."
        )
