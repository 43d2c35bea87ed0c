"""A guard that fails itself says so, and nothing of what it guards."""

import errno
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask_openapi3 import OpenAPI
from requests.exceptions import ConnectionError as RequestsConnectionError
from sqlalchemy import text
from urllib3.exceptions import ProtocolError

from app.agent.process import _place, trouble
from app.core import descriptors
from app.core.errors import EngineUnreachableError, StorageBusyError
from app.domain.heartbeat import Heartbeat
from app.engine.translation import translate
from app.metrics.catalogue import registry
from app.storage import Database
from prefork_metrics.directory import trouble_with
from prefork_metrics.directory.room import allocate
from prefork_metrics.visibility import Visibility
from tests.support.application import parts

MakeApp = Callable[..., OpenAPI]


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process open nothing more; what is open stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_used_up() -> None:
    assert not descriptors.are_used_up()
    with no_descriptors():
        assert descriptors.are_used_up()


def test_disk_and_directory_are_well(tmp_path: Path) -> None:
    with no_descriptors():
        allocate(tmp_path, 1)
        assert trouble_with(tmp_path) is None
        with pytest.raises(OSError, match="No space left"):
            allocate(tmp_path, 1 << 62)


def test_scrape_blames_no_directory(tmp_path: Path) -> None:
    visibility = Visibility(registry)
    with pytest.raises(OSError, match="files"), visibility.looking(tmp_path):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    trouble = list(visibility.families())[1]
    assert {sample.value for sample in trouble.samples} == {0.0}


def test_sqlite_is_not_called_unopenable(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/vibebox.db")
    with database.reading() as session:
        session.execute(text("SELECT 1"))
    database.dispose()
    with (
        no_descriptors(),
        pytest.raises(StorageBusyError) as caught,
        database.reading() as session,
    ):
        session.execute(text("SELECT 1"))
    assert caught.value.reason == descriptors.NEXT_STEP
    database.dispose()


def test_engine_is_not_called_dead() -> None:
    lost = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    error = translate(RequestsConnectionError(ProtocolError("aborted", lost)))
    assert type(error) is EngineUnreachableError
    assert "no file descriptor left" in error.detail


def test_check_that_cannot_be_made(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    app = make_app()
    checks = parts(app).checks
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not any(result.up for result in checks.run().values())
    told = {record.__dict__["why"] for record in caplog.records if hasattr(record, "check")}
    assert told == {"CheckNotMadeError: can't start new thread"}

    assert {check.name for check, result in checks.run().items() if result.up} >= {"database"}


def test_agents_that_live_and_do_not_lead(database: Database) -> None:
    assert "is seen" in str(trouble(database))
    heartbeat = Heartbeat(database, place=_place())
    with database.writing() as session:
        heartbeat.ensure(session)

    assert "none leads" in str(trouble(database))
