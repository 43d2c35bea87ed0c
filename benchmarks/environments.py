"""A service with many environments: lists, scrapes, an idle agent, and how fast one starts.

The real thing: PostgreSQL, Docker Engine, two gunicorn workers and an agent, on this machine. A
start is compared with what Docker alone takes for the same: create, start, and a shell that
answers, through the same SDK and in turns.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import click
import psutil

from benchmarks import place
from benchmarks.table import Bar, Section, milliseconds, progress, times

RECORDS, RUNNING = 1000, 50
_STARTS = 25
_QUERIES = 100
_IDLE_SECONDS = 30.0
_LIST_MS = _SCRAPE_MS = 100.0
_IDLE_SHARE = 0.10


def run() -> list[Bar]:
    """Measure, print the sections, and return how the bars were met; nothing without services."""
    from tests.backends.docker_engine import DockerEngine
    from tests.backends.postgresql import PostgreSQL

    missing = PostgreSQL.installed() or DockerEngine.installed()
    if missing:
        click.echo(f"\nenvironments is left out: {missing}; make test-services", err=True)
        return []
    with _service() as (server, agent, engine):
        return [*_starts(server, engine), *_scale(server, agent, engine.busybox)]


@contextmanager
def _service() -> Iterator[tuple[Any, Any, Any]]:
    from tests.backends.agent import Agent
    from tests.backends.docker_engine import DockerEngine
    from tests.backends.postgresql import PostgreSQL
    from tests.backends.web import WebServer

    with ExitStack() as stack:
        directory = stack.enter_context(place.temporary())
        database = stack.enter_context(closing(PostgreSQL()))
        engine = stack.enter_context(closing(DockerEngine()))
        settings = {
            "DATABASE_URL": database.new_database(),
            "DOCKER_HOST": engine.host,
            "VIBEBOX_QUOTA_ENVIRONMENTS": str(2 * RECORDS),
            "VIBEBOX_QUOTA_CPUS": str(2 * RECORDS),
            "VIBEBOX_QUOTA_MEMORY_MB": str(64 * RECORDS),
        }
        server = stack.enter_context(closing(WebServer(directory, settings, workers=2)))
        server.start()
        agent = stack.enter_context(closing(Agent.beside(server)))
        agent.start()
        yield server, agent, engine
        engine.clear()


def _starts(server: Any, engine: Any) -> list[Bar]:
    """Time starts through VibeBox and by Docker alone, in turns."""
    progress(f"{_STARTS} starts through VibeBox and by Docker alone, in turns")
    ours, alone, client = [], [], engine.client()
    with _api(server) as api:
        for number in range(_STARTS):
            environment = api.create(f"start-{number}", engine.busybox, memory_limit_mb=64)
            ours.append(_seconds(lambda: _expect(api.act(environment, "start"))))  # noqa: B023
            alone.append(_docker_alone(client, engine.busybox))
            _expect(api.call("DELETE", f"/environments/{environment}"))
    section = Section("A start, image present, to a shell that answers", "by", "median", "p95")
    for name, found in (("VibeBox, POST …/start", ours), ("Docker alone", alone)):
        section.row(name, milliseconds(statistics.median(found)), milliseconds(_p95(found)))
    shares = [mine / theirs for mine, theirs in zip(ours, alone, strict=True)]
    section.row("VibeBox / Docker alone", times(statistics.median(shares)), times(_p95(shares)))
    return []


def _docker_alone(client: Any, image: str) -> float:
    """Do with the SDK what a start does: create, start, run a command in it; return the seconds."""
    started = time.perf_counter()
    container = client.create_container(
        image, stdin_open=True, host_config=client.create_host_config(init=True)
    )
    client.start(container)
    command = client.exec_create(container, ["true"])
    client.exec_start(command)
    assert client.exec_inspect(command["Id"])["ExitCode"] == 0
    seconds = time.perf_counter() - started
    client.remove_container(container, force=True)
    return seconds


def _scale(server: Any, agent: Any, image: str) -> list[Bar]:
    with _api(server) as api:
        progress(f"{RECORDS:,} environments, {RUNNING} of them running")
        for number in range(RECORDS):
            environment = api.create(f"scale-{number}", image, memory_limit_mb=32)
            if number < RUNNING:
                _expect(api.act(environment, "start"))
        progress(f"{_QUERIES} lists and scrapes, then {_IDLE_SECONDS:.0f} s of rest")
        listed = _timed(lambda: _expect(api.call("GET", "/environments?limit=100")))
        scraped = _timed(lambda: _expect(_scrape(server.url)))
    share = _idle_share(agent.pid)
    section = Section(f"{RECORDS:,} environments, {RUNNING} running", "what", "median", "p95")
    section.row("list of 100", milliseconds(statistics.median(listed)), milliseconds(_p95(listed)))
    section.row("scrape", milliseconds(statistics.median(scraped)), milliseconds(_p95(scraped)))
    section.row("idle agent, of a core", f"{share:.1%}", "")
    return [
        _bar("list p95 under 100 ms", _p95(listed) * 1000, _LIST_MS),
        _bar("scrape p95 under 100 ms", _p95(scraped) * 1000, _SCRAPE_MS),
        Bar("idle agent under 10% of a core", f"{share:.1%}", share < _IDLE_SHARE),
    ]


def _bar(promise: str, found: float, most: float) -> Bar:
    return Bar(promise, f"{found:.1f} ms", found < most)


@contextmanager
def _api(server: Any) -> Iterator[Any]:
    from tests.end_to_end.api import Api

    with Api(server.url) as api:
        api.register("ada@example.org")
        _expect(api.login("ada@example.org"))
        yield api


def _scrape(url: str) -> Any:
    from tests.backends import http

    return http.get(f"{url}/health/metrics")


def _idle_share(pid: int) -> float:
    process = psutil.Process(pid)
    before = sum(process.cpu_times()[:2])
    time.sleep(_IDLE_SECONDS)
    return (sum(process.cpu_times()[:2]) - before) / _IDLE_SECONDS


def _timed(work: Callable[[], object]) -> list[float]:
    return [_seconds(work) for _ in range(_QUERIES)]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _p95(found: list[float]) -> float:
    return sorted(found)[int(len(found) * 0.95)]


def _expect(response: Any) -> Any:
    """Stop at once where the service refuses: what follows would measure nothing."""
    if not response.ok:
        raise click.ClickException(f"the service answered {response.status_code}: {response.text}")
    return response
