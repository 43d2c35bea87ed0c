"""Whatever is asked of the service, the number of series stands."""

import json
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.backends.migrated import MIGRATE
from tests.backends.programs import wait_until
from tests.backends.web import CHEAP_PASSWORDS, ROOT, UNLIMITED
from tests.conftest import WebServerFactory
from tests.end_to_end import random_inputs
from tests.end_to_end.counters import scrape_text, shown
from tests.end_to_end.families.coverage import STATEMENTS
from tests.end_to_end.random_inputs import series
from tests.sizes import size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

IN_PROCESS, OVER_SOCKETS = size(3_000, 90_000), size(1_000, 10_000)
PIPELINED, CLIENTS = 50, 4
MOST_LINES = 15_000
LABELS = re.compile(r'method="([^"]*)",route="([^"]*)",status_code="(\d+)"')
STATEMENT = re.compile(r'model="([^"]*)",operation="([^"]*)"')
Request = tuple[str, str, bytes]


def environment(directory: Path) -> dict[str, str]:
    """Return settings with places in `directory`; passwords and logs are no subject: cheap."""
    return {
        "DATABASE_URL": f"sqlite:///{directory}/vibebox.db",
        "DOCKER_HOST": f"unix://{directory}/no-docker.sock",
        "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics"),
        "VIBEBOX_LOG_LEVEL": "warning",
        **UNLIMITED,
        **CHEAP_PASSWORDS,
    }


def test_random_inputs_and_rows_add_no_series(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    settings = environment(tmp_path)
    subprocess.run(MIGRATE, cwd=ROOT, env=settings, check=True)
    program = [sys.executable, "-m", random_inputs.__name__]
    done = subprocess.run(
        [*program, str(random.randrange(2**32)), str(IN_PROCESS)],
        cwd=ROOT,
        env=settings,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    print(f"lines with every route used, with every answer given once, later: {result['lines']}")

    assert result["new"] == []
    used, every, random_too, populated = result["lines"]
    assert used < MOST_LINES
    assert every == random_too == populated


def encoded(request: Request, last: bool) -> bytes:
    verb, target, content = request
    close = "Connection: close\r\n" if last else ""
    head = (
        f"{verb} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{close}"
    )
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def send(port: int, requests: Sequence[Request]) -> None:
    """Send requests one behind the other, without waiting; each must be answered."""
    sent = b"".join(
        encoded(request, last=number == len(requests)) for number, request in enumerate(requests, 1)
    )
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
        peer.sendall(sent)
        while chunk := peer.recv(65536):
            received += chunk
    assert received.count(b"HTTP/1.1 ") == len(requests), bytes(received[-500:])


def send_all(port: int, requests: Iterable[Request]) -> None:
    every = list(requests)
    with ThreadPoolExecutor(CLIENTS) as pool:
        batches = [every[start : start + PIPELINED] for start in range(0, len(every), PIPELINED)]
        for done in [pool.submit(send, port, batch) for batch in batches]:
            done.result()


def for_a_server(requests: Iterable[Request]) -> Iterable[Request]:
    """Leave out CONNECT, whose target is no path: what gunicorn refuses is no request."""
    return (request for request in requests if request[0] != "CONNECT")


def labels(names: Iterable[str], family: str) -> set[tuple[str, ...]]:
    """Return method, route and status of the series of an HTTP family."""
    found = (LABELS.search(name) for name in names if name.startswith(family))
    return {match.groups() for match in found if match}


def statements(names: Iterable[str], family: str) -> set[tuple[str, ...]]:
    """Return model and operation of the series of the family of statements."""
    found = (STATEMENT.search(name) for name in names if name.startswith(family))
    return {match.groups() for match in found if match}


def test_random_requests_to_a_server_add_no_series(
    web_server: WebServerFactory, tmp_path: Path
) -> None:
    server = web_server(workers=2)
    wait_until(lambda: shown(server, "vibebox_workers") == 2, 15)
    chance = random.Random(random.randrange(2**32))
    send_all(server.port, for_a_server(random_inputs.every_kind()))
    before = series(scrape_text(server).splitlines())
    send_all(
        server.port,
        for_a_server(
            (
                random_inputs.method(chance),
                random_inputs.path(chance),
                random_inputs.body(chance) if chance.random() < 0.1 else b"",
            )
            for _ in range(OVER_SOCKETS)
        ),
    )
    text = scrape_text(server).splitlines()
    print(f"{len(text)} lines")

    # Two kinds of histogram are made on first use: of a documented answer, of a known statement.
    new = series(text) - before
    durations, queries = (
        "vibebox_http_request_duration_seconds",
        "vibebox_db_query_duration_seconds",
    )
    assert {name for name in new if not name.startswith((durations, queries))} == set()
    assert labels(new, durations) <= labels(before, "vibebox_http_requests_total")
    assert statements(new, queries) <= {
        (model, operation) for model, operations in STATEMENTS.items() for operation in operations
    }
    assert before <= series(text)
    assert len(text) < MOST_LINES
