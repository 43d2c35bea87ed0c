"""Fixtures of the metrics directory."""

from pathlib import Path

import pytest

from prefork_metrics.directory import prepare


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A metrics directory that is ready for members."""
    path = tmp_path / "metrics"
    prepare(path)
    return path
