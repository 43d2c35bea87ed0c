"""Places between two lines, as clients hold them: text that means something to us only."""

import base64
import binascii
import re
from enum import StrEnum

from app.core.errors import InvalidInputError

_FORM = re.compile(r"(asc|desc):(0|[1-9][0-9]{0,17})")


class Order(StrEnum):
    """In which direction lines are read."""

    ASC = "asc"  # oldest first
    DESC = "desc"


def encode(order: Order, entry_id: int) -> str:
    """Return the place behind an entry, for reading on in the same direction."""
    return base64.urlsafe_b64encode(f"{order}:{entry_id}".encode()).decode().rstrip("=")


def decode(order: Order, cursor: str) -> int:
    """Return the id of the entry. Raises: InvalidInputError for what `encode` did not make."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found = _FORM.fullmatch(text.decode("ascii"))
    except (binascii.Error, ValueError):
        found = None
    if found is None or found[1] != order:
        message = "Take next_cursor or end_cursor of a page of the same order."
        raise InvalidInputError([{"field": "cursor", "message": message}])
    return int(found[2])
