"""Rings that somebody holds: a service that finds few free ones has little room."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from app.tracing.rings import RingWriter


@contextmanager
def held(directory: Path, total: int, slots: int, number: int) -> Iterator[None]:
    """Hold so many of the `slots` rings of a directory, `total` bytes together, for the block."""
    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(closing(RingWriter(directory, total, slots)))
        yield
