"""The application of the unit tests."""

from tests.unit.conftest import (
    app,
    client,
    database_url,
    engine,
    make_app,
    make_user,
    migrated_file,
    user,
)

__all__ = [
    "app",
    "client",
    "database_url",
    "engine",
    "make_app",
    "make_user",
    "migrated_file",
    "user",
]
