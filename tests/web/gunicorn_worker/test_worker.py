"""What the worker looks at before a request is served."""

from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.workers.gthread import ThreadWorker

from app.core.errors import MalformedRequestError
from app.web.gunicorn_worker.framing import Framing
from app.web.gunicorn_worker.worker import Worker

NAMED = [("ACCEPT", "*/*"), ("HOST", "localhost")]


def served(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], headers: list[tuple[str, str]]
) -> tuple[int, int]:
    """Return the version by which a request is answered. Raises: as the worker."""
    request: Any = SimpleNamespace(version=version, headers=headers, _expected_100_continue=False)
    sock = SimpleNamespace(request=SimpleNamespace(large=False))
    connection: Any = SimpleNamespace(framing=Framing(), sock=sock)
    monkeypatch.setattr(ThreadWorker, "handle_request", lambda *_: True)
    assert Worker.handle_request(object.__new__(Worker), request, connection)
    found: tuple[int, int] = request.version
    return found


def test_a_later_version_is_answered_by_the_one_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9110, 2.5: it was answered as the HTTP/1.9 that it claimed to be."""
    for version, expected in (((1, 0), (1, 0)), ((1, 1), (1, 1)), ((1, 9), (1, 1))):
        assert served(monkeypatch, version, NAMED) == expected


def test_a_request_names_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9112, 3.2; HTTP/1.0 had no Host."""
    for version in ((1, 1), (1, 9)):
        with pytest.raises(MalformedRequestError, match="Host header"):
            served(monkeypatch, version, NAMED[:1])
    assert served(monkeypatch, (1, 0), NAMED[:1]) == (1, 0)
