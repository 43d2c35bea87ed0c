"""The database of the settings, for commands of whoever runs the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.storage import Database


@contextmanager
def database() -> "Iterator[Database]":
    """Open it for the block. Raises: SettingsError."""
    from app.storage import Database
    from app.wiring import load_settings

    opened = Database(load_settings().database_url)
    try:
        yield opened
    finally:
        opened.dispose()
