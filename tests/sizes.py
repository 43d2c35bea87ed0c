"""How much of a long test is done: a part of it in every run, the whole with FULL=true.

`make test-full` runs the whole, for which a change of what it holds is the occasion. The gate has
20 minutes; there is nothing that only the whole tests, but it tests it longer or in more ways.
"""

import os
from typing import TypeVar

FULL = os.environ.get("FULL") == "true"
T = TypeVar("T")


def size(part: T, whole: T) -> T:
    """Return how much is to be done now."""
    return whole if FULL else part
