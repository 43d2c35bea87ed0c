"""A binary upgrade (USR2), and starts beside others: what was counted goes on counting."""

import http.client
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.backends import programs
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.counters import Watch, shown
from tests.prefork_metrics.directory.support import living

pytestmark = pytest.mark.end_to_end

WORKERS = 2
SENT = 50
COUNTED = 'vibebox_http_requests_total{method="GET",route="unmatched",status_code="404"}'
EXITS = 'vibebox_worker_exits_total{reason="shutdown"}'


def send(server: WebServer, times: int = SENT) -> None:
    """Send requests one after another, each on a connection of its own."""
    for _ in range(times):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/nothing")
        assert connection.getresponse().read()
        connection.close()


def await_workers(server: WebServer, number: int) -> None:
    wait_until(lambda: shown(server, "vibebox_workers") == number, 60, interval=0.1)


@contextmanager
def upgraded(server: WebServer) -> Iterator[psutil.Process]:
    """Start a second master beside the first; end it after the block if it still runs."""
    server.signal(signal.SIGUSR2)
    await_workers(server, 2 * WORKERS)
    (master,) = [
        child for child in psutil.Process(server.pid).children() if len(child.children()) == WORKERS
    ]
    try:
        yield master
    finally:
        programs.kill([*programs.family(master.pid), master])


def ended(process: psutil.Process) -> bool:
    return not programs.alive(process)


def test_counts_go_on_through_a_binary_upgrade(web_server: WebServerFactory) -> None:
    server = web_server(workers=WORKERS)
    await_workers(server, WORKERS)
    with Watch(server) as watch:
        send(server)
        with upgraded(server) as new:
            send(server)
            server.signal(signal.SIGTERM)
            assert server.wait_ended() == 0
            await_workers(server, WORKERS)
            send(server)
            assert shown(server, COUNTED) == 3 * SENT
            assert shown(server, EXITS) == WORKERS

            new.send_signal(signal.SIGTERM)
            wait_until(lambda: ended(new), 20)

    assert watch.scrapes > 5
    assert not watch.faults, "\n".join(watch.faults)


@pytest.mark.full
def test_counts_go_on_when_the_upgrade_is_taken_back(web_server: WebServerFactory) -> None:
    server = web_server(workers=WORKERS)
    await_workers(server, WORKERS)
    with Watch(server) as watch, upgraded(server) as new:
        send(server)
        new.send_signal(signal.SIGTERM)
        wait_until(lambda: ended(new), 20)
        await_workers(server, WORKERS)
        send(server)
        assert shown(server, COUNTED) == 2 * SENT
        assert shown(server, EXITS) == WORKERS

    assert not watch.faults, "\n".join(watch.faults)


@pytest.mark.full
def test_a_start_goes_on_counting_while_another_process_lives(
    web_server: WebServerFactory,
) -> None:
    server = web_server(workers=WORKERS)
    send(server)
    with living(Path(server.env["PROMETHEUS_MULTIPROC_DIR"])) as agent:
        server.kill()
        server.start()
        assert psutil.pid_exists(agent)
        assert shown(server, COUNTED) == SENT
        send(server)
        assert shown(server, COUNTED) == 2 * SENT


def test_a_start_empties_the_directory_when_nobody_lives(web_server: WebServerFactory) -> None:
    server = web_server(workers=WORKERS)
    send(server)
    directory = Path(server.env["PROMETHEUS_MULTIPROC_DIR"])
    before = {name for name in os.listdir(directory) if name.endswith(".db")}
    server.kill()
    server.start()
    assert shown(server, COUNTED) == 0
    assert not before & set(os.listdir(directory))
    send(server)
    assert shown(server, COUNTED) == SENT
