"""The throw-away Redis."""

import pytest

from tests.backends.redis import Redis

pytestmark = pytest.mark.integration


def test_server_hangs_refuses_and_heals(redis: Redis) -> None:
    assert redis.answers()
    redis.clear()
    redis.suspend()
    assert not redis.answers()
    redis.heal()
    assert redis.answers()
    redis.stop()
    assert not redis.answers()
    redis.heal()
    assert redis.answers()
