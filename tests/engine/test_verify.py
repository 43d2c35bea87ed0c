"""Whether the engine can do its work: asked of one that answers all the same."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from app.core.errors import EngineFullError, EngineTimeoutError
from app.engine import ContainerSpec
from app.engine import DockerEngine as Gateway
from tests.backends.docker_engine import DockerEngine
from tests.backends.programs import ServiceError
from tests.backends.scratch import fill
from tests.conftest import require

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def small_engine() -> Iterator[DockerEngine]:
    """An engine with little room."""
    require("Docker Engine", DockerEngine.installed())
    try:
        engine = DockerEngine(disk=64)
    except ServiceError as error:
        require("a disk to fill", str(error))
        raise
    with closing(engine):
        yield engine


@pytest.fixture
def gateway(small_engine: DockerEngine) -> Iterator[Gateway]:
    gateway = Gateway(small_engine.host)
    gateway.verify(5)
    yield gateway
    gateway.close()
    small_engine.close_clients()


def test_clock(gateway: Gateway) -> None:
    began = datetime.now(UTC)
    shown = gateway.clock(5)
    assert began <= shown <= datetime.now(UTC)


def test_full_disk(small_engine: DockerEngine, gateway: Gateway) -> None:
    spec = ContainerSpec("env-1", "vibebox-1", small_engine.busybox, {}, [], 1.0, 64)
    filler = fill(small_engine.disk)
    gateway.ping()
    for use in (lambda: gateway.verify(5), lambda: gateway.create(spec)):
        with pytest.raises(EngineFullError):
            use()
    filler.unlink()
    gateway.verify(5)
    assert small_engine.client().volumes()["Volumes"] in (None, [])


def test_runtime_that_hangs(small_engine: DockerEngine, gateway: Gateway) -> None:
    small_engine.suspend_runtime()
    try:
        gateway.ping()
        with pytest.raises(EngineTimeoutError):
            gateway.verify(0.5)
    finally:
        small_engine.resume_runtime()
    gateway.verify(5)
