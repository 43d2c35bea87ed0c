"""What the tests of stores have in common."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.stand_in import StandIn


@pytest.fixture
def peer() -> Iterator[StandIn]:
    """A store that knows nothing yet."""
    with closing(StandIn()) as peer:
        yield peer
