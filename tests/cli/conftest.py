"""A service for a whole module, and people who use it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.backends.web import WebServer
from tests.cli.support import Person


@pytest.fixture
def person(server: WebServer, tmp_path: Path) -> Callable[..., Person]:
    """A factory of people with a HOME of their own, who use the module's server."""

    def make(name: str = "ada", **env: str) -> Person:
        return Person(tmp_path / name, server.url, **env)

    return make
