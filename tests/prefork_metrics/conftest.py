"""A metrics directory, and other processes that count into it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.prefork_metrics.processes import Other


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def other(directory: Path) -> Iterator[Callable[[], Other]]:
    """Make another process that counts what it is told."""
    made: list[Other] = []

    def make() -> Other:
        made.append(Other())
        return made[-1]

    yield make
    for one in made:
        one.end()
