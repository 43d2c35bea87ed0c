"""How much of the long tests is done: a part in every run, everything with FULL=true.

The gate has ten minutes and two cores, and everything takes longer. What is marked `full`
(whole stacks, storms, crowds) is left out there, and what has a `size` is smaller. `make test-full`
does all of it: before a release, and with each change of what those tests hold.
"""

import os
from typing import TypeVar

FULL = os.environ.get("FULL") == "true"
T = TypeVar("T")


def size(part: T, whole: T) -> T:
    """Return how much is to be done now."""
    return whole if FULL else part
