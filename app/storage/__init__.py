"""Storage: the database, its tables and its migrations. No business rules live here."""

from app.storage import schema
from app.storage.database import Database
from app.storage.models import (
    AuthToken,
    Base,
    Environment,
    EnvironmentStatus,
    TokenKind,
    User,
    new_id,
    utc_now,
)

ENVIRONMENT_STATUSES: tuple[EnvironmentStatus, ...] = tuple(EnvironmentStatus)

__all__ = [
    "ENVIRONMENT_STATUSES",
    "AuthToken",
    "Base",
    "Database",
    "Environment",
    "EnvironmentStatus",
    "TokenKind",
    "User",
    "new_id",
    "schema",
    "utc_now",
]
