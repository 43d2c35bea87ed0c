"""A database, and somebody who answers in the service's place."""

import threading
from collections.abc import Iterator

import pytest

from tests.probing.stranger import Stranger
from tests.storage.conftest import sqlite, sqlite_url

__all__ = ["sqlite", "sqlite_url"]


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    server = Stranger()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
