"""The database of the settings, for commands of whoever runs the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.core.errors import UserNotFoundError

if TYPE_CHECKING:
    from app.core.settings import Settings
    from app.storage import Database


@contextmanager
def database(settings: "Settings", *, must_exist: bool = True) -> "Iterator[Database]":
    """Open it for the block; a file that is not there is made where it need not exist.

    Raises: UserNotFoundError, which says in which database it looked.
    """
    from app.storage import Database

    opened = Database(settings.database_url, must_exist=must_exist)
    try:
        yield opened
    except UserNotFoundError as error:
        raise UserNotFoundError(
            f"{error.detail.rstrip('.')} (looked for in {opened.describe()}, the database of "
            "DATABASE_URL)."
        ) from error
    finally:
        opened.dispose()
