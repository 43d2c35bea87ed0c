"""Which moment may be the end of an environment: one to come, by the clock that will end it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.core.errors import InvalidInputError
from app.storage import now

LONGEST_LIFE = timedelta(days=365)


def refuse_expiry(session: Session, fields: Mapping[str, Any]) -> None:
    """Refuse an `expires_at` that is over or too far ahead; costs nothing where there is none.

    By the database's clock: the host of a web server may show any time.

    Raises: InvalidInputError.
    """
    moment = fields.get("expires_at")
    if moment is None:
        return
    present = now(session)
    if not present < moment <= present + LONGEST_LIFE:
        message = "Name a moment in the future, at most a year from now."
        raise InvalidInputError([{"field": "expires_at", "message": message}])
