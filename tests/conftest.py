"""Fixtures that all tests share: real services, a clean environment, a watch for leaks.

A service whose programs are not installed leaves its tests out here, says so at the end, and fails
them where the environment has CI=true: a gate that silently tests less is no gate.
"""

import gc
import os
import shutil
import signal
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import pytest

from app.cli import env_file
from tests.backends import leaks, warm
from tests.backends.alertmanager import Alertmanager
from tests.backends.docker_engine import DockerEngine
from tests.backends.fault_proxy import FaultProxy
from tests.backends.jaeger import Jaeger
from tests.backends.postgresql import PostgreSQL
from tests.backends.prometheus import Prometheus
from tests.backends.redis import Redis
from tests.backends.registry import Registry
from tests.backends.reused import Reused
from tests.backends.scratch import sweep
from tests.backends.victoria_logs import VictoriaLogs
from tests.backends.web import ROOT, WebServer
from tests.sizes import FULL
from tests.support.remembered import forget_unused

if TYPE_CHECKING:
    from tests.backends.otlp_sink import OtlpSink

pytest_plugins = [
    "tests.support.application",
    "tests.support.databases",
    "tests.support.first_import",
    "tests.support.ledger",
]

SERVICE_SETTINGS = (
    "DATABASE_URL",
    "DOCKER_HOST",
    "GUNICORN_CMD_ARGS",
    "HOST",
    "PORT",
    "PROMETHEUS_MULTIPROC_DIR",
    "WEB_CONCURRENCY",
)
"""Settings of the service that start with neither VIBEBOX_ nor OTEL_."""


class Service(Protocol):
    """A service that lives for the whole session."""

    @property
    def pid(self) -> int: ...
    def heal(self) -> None: ...
    def close(self) -> None: ...


_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 8 << 30
_S = TypeVar("_S", bound=Service)
_left_out: dict[str, str] = {}
_services: list[Service] = []


def require(name: str, missing: str | None) -> None:
    """Leave the test out, or fail it in CI, when something of the service is missing."""
    if missing is None:
        return
    reason = f"{name} ({missing}; make test-services installs it)"
    if os.environ.get("CI") == "true":
        pytest.fail(f"in CI no service may be left out: {reason}", pytrace=False)
    _left_out[name] = reason
    pytest.skip(f"left out: {reason}")


def pytest_configure() -> None:
    """Put what tests write into memory, where there is much: thousands of databases are that."""
    gc.disable()  # until all tests are collected: what is read there stays
    with suppress(OSError):
        if shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Clear away what a killed test run left behind; let Ctrl-C be sent to what the tests start.

    A run in a shell's background ignores it, and so would every child.
    """
    sweep()
    if not hasattr(session.config, "workerinput"):
        forget_unused()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is only done in full."""
    left_out = [item for item in items if item.get_closest_marker("full") and not FULL]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start what starts programs, before a test could leave it behind.

    And spare the garbage collector what lives as long as the session: the leak detectors collect
    after each test; without this each of those takes 40 ms.
    """
    starting = ("end_to_end", "integration")
    if any(item.get_closest_marker(mark) for item in session.items for mark in starting):
        warm.prepare()
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None]:
    """Resume what the test suspended or stopped, before any fixture needs it to tidy up."""
    problems = list(_heal_services())
    yield
    # Only now: without the teardown of this test no further one could run.
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def _heal_services() -> Iterator[str]:
    for service in _services:
        try:
            service.heal()
        except Exception as error:
            yield f"{type(service).__name__} cannot be used any more: {error}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which services this run did without."""
    for reason in sorted(_left_out.values()):
        terminalreporter.write_line(f"left out: {reason}")


@contextmanager
def shared(service: _S) -> Iterator[_S]:
    """Give a service to several tests: healed after each, no leak of theirs, closed at the end."""
    _services.append(service)
    try:
        yield service
    finally:
        _services.remove(service)
        service.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL cluster for the whole session; take a `new_database()` of your own."""
    require("PostgreSQL", PostgreSQL.installed())
    with shared(PostgreSQL()) as service:
        yield service


@pytest.fixture(scope="session")
def reused(postgresql: PostgreSQL) -> Reused:
    """Databases of PostgreSQL at the schema of this release; see `migrated_postgresql`."""
    return Reused(postgresql)


@pytest.fixture
def migrated_postgresql(reused: Reused) -> Iterator[str]:
    """The URL of a database without rows, at the schema of this release; tests have it in turn."""
    url = reused.take()
    yield url
    reused.give_back(url)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """A Docker Engine for the whole session; remove your containers, or call `clear()`."""
    require("Docker Engine", DockerEngine.installed())
    with shared(DockerEngine()) as service:
        yield service


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """A registry of images for the whole session; push what you need under a name of your own."""
    require("docker-registry", Registry.installed())
    with shared(Registry()) as service:
        yield service


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A Redis for the whole session; call `clear()` before you count on what is in it."""
    require("Redis", Redis.installed())
    with shared(Redis()) as service:
        yield service


@pytest.fixture(scope="session")
def victoria_logs() -> Iterator[VictoriaLogs]:
    """A VictoriaLogs for the whole session; ask it for records of your own alone."""
    require("VictoriaLogs", VictoriaLogs.installed())
    with shared(VictoriaLogs()) as service:
        yield service


@pytest.fixture(scope="session")
def jaeger() -> Iterator[Jaeger]:
    """A Jaeger for the whole session; it keeps the traces of all tests, each under its own id."""
    require("Jaeger", Jaeger.installed())
    with shared(Jaeger()) as service:
        yield service


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings of whoever runs the tests, also those of a .env in the checkout."""
    for name in list(os.environ):
        if name.startswith(("VIBEBOX_", "OTEL_")) or name in SERVICE_SETTINGS:
            monkeypatch.delenv(name)
    read = env_file.read_here
    monkeypatch.setattr(env_file, "read_here", lambda: Path.cwd() == ROOT or read())


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves threads, file descriptors or processes behind."""
    before = leaks.snapshot()
    yield
    found = leaks.wait_for_none(before, ignore=[service.pid for service in _services])
    if found:
        pytest.fail("the test leaves behind:\n" + "\n".join(found), pytrace=False)


class WebServerFactory(Protocol):
    """Makes servers; see `WebServer` for the arguments."""

    def __call__(
        self,
        env: Mapping[str, str] | None = None,
        workers: int = 2,
        threads: int = 8,
        migrate: bool = True,
        start: bool = True,
        root: Path = ROOT,
    ) -> WebServer: ...


@pytest.fixture
def web_server(tmp_path: Path) -> Iterator[WebServerFactory]:
    """A factory of running servers, each with a directory of its own; ends them after the test."""
    servers: list[WebServer] = []

    def make(
        env: Mapping[str, str] | None = None,
        workers: int = 2,
        threads: int = 8,
        migrate: bool = True,
        start: bool = True,
        root: Path = ROOT,
    ) -> WebServer:
        directory = tmp_path / f"web-{len(servers) + 1}"
        directory.mkdir()
        server = WebServer(directory, env, workers, threads, migrate, root)
        servers.append(server)
        if start:
            server.start()
        return server

    yield make
    for server in servers:
        server.close()
        server.print_log()


@pytest.fixture
def prometheus() -> Iterator[Callable[..., Prometheus]]:
    """A factory with the arguments of `Prometheus`; ends what it made after the test."""
    require("Prometheus", Prometheus.installed())
    with ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(
            closing(Prometheus(*arguments, **options))
        )


@pytest.fixture
def alertmanager() -> Iterator[Callable[..., Alertmanager]]:
    """A factory with the arguments of `Alertmanager`; ends what it made after the test."""
    require("Alertmanager", Alertmanager.installed())
    with ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(
            closing(Alertmanager(*arguments, **options))
        )


@pytest.fixture
def sink() -> Iterator["OtlpSink"]:
    """A receiver of OTLP; name it before the server that sends to it, which then ends first."""
    from tests.backends.otlp_sink import OtlpSink

    with OtlpSink() as sink:
        yield sink


@pytest.fixture
def fault_proxy() -> Iterator[Callable[..., FaultProxy]]:
    """A factory with the arguments of `FaultProxy`; ends what it made after the test."""
    with ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(FaultProxy(*arguments, **options))
