"""What tests of the worker share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.core import signals


@contextmanager
def cut_offs() -> Iterator[list[str]]:
    """Collect the reasons for which clients are cut off meanwhile."""
    reasons: list[str] = []

    def note(_sender: Any, *, reason: str) -> None:
        reasons.append(reason)

    with signals.client_cut_off.connected_to(note):
        yield reasons


@contextmanager
def waits() -> Iterator[list[tuple[str, float]]]:
    """Collect how long clients are waited for meanwhile."""
    found: list[tuple[str, float]] = []

    def note(_sender: Any, *, phase: str, seconds: float) -> None:
        found.append((phase, seconds))

    with signals.client_waited.connected_to(note):
        yield found
