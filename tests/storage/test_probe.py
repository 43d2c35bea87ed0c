"""probe(): a healthy database passes however busy the service is."""

import pytest
from sqlalchemy import event

from app.core.errors import StorageUnavailableError
from app.storage import Database
from tests.storage.support import Stopwatch, all_connections_busy


@pytest.fixture
def small(database: Database, url: str) -> Database:
    """A pool of two, and ten seconds of patience for whoever queues for it."""
    return Database(url, pool_size=1, max_overflow=1, pool_timeout=10)


def test_probe_uses_the_pool_when_a_slot_is_free(small: Database) -> None:
    checkouts: list[object] = []
    event.listen(small.engine, "checkout", lambda *arguments: checkouts.append(arguments))
    with all_connections_busy(small, 1):
        small.probe(5)
    assert len(checkouts) == 3  # to read, and to write
    assert small.engine.pool.status().endswith("Current Checked out connections: 0")
    small.dispose()


def test_probe_of_a_busy_pool_succeeds_without_queueing(small: Database) -> None:
    checkouts: list[object] = []
    with all_connections_busy(small, 2):
        event.listen(small.engine, "checkout", lambda *arguments: checkouts.append(arguments))
        watch = Stopwatch()
        small.probe(5)
        assert watch.seconds < 5
    assert checkouts == []
    small.dispose()


def test_probing_thread_queues_again_for_ordinary_work(small: Database) -> None:
    with all_connections_busy(small, 2):
        small.probe(5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(small.engine.pool, "_timeout", 0.05)
            with pytest.raises(StorageUnavailableError), small.reading() as session:
                session.connection()
    small.dispose()
