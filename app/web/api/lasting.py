"""What a route says of itself that may take long."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from app.web.authentication import identity
from app.web.openapi import Answer
from app.web.services import components

Arguments = ParamSpec("Arguments")

TAKE_LONG: set[str] = set()
"""The views that are limited, as `module.function`."""


def takes_long(view: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Limit how many requests of an account, and of all, are in this view and its like at once.

    For whatever may hold its thread for more than a moment: calls of Docker, searches, uploads.
    What takes milliseconds is never refused. It may answer ShareExceededError (429) and
    ServerBusyError (503).
    """

    @wraps(view)
    def limited(*arguments: Arguments.args, **named: Arguments.kwargs) -> Answer:
        with components().admission.request(identity().user_id):
            return view(*arguments, **named)

    TAKE_LONG.add(f"{view.__module__}.{view.__qualname__}")
    return limited
