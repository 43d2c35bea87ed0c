"""A crowd of terminals on two workers: they echo, the rest goes on, and all is given back."""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from app.core.errors import Limit
from app.domain.quotas.row_limits import MOST
from tests.backends import http
from tests.backends.docker_engine import DockerEngine
from tests.backends.host_image import import_host_image, missing_programs
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory, require
from tests.end_to_end import at_once
from tests.end_to_end.api import Api
from tests.end_to_end.crowd import Crowd, summary
from tests.end_to_end.sockets import refused

pytestmark = [pytest.mark.full, pytest.mark.end_to_end, pytest.mark.timeout(600)]

WORKERS = 2
TERMINALS, THREADS = 200, 8
"""A hundred at each worker, which is what an account may have of two hundred."""
POOLED = 15
"""Five connections to the database, and ten to the engine: far from one for each terminal."""
SECONDS = 5
PATIENCE = 120.0
CONNECTIONS = "vibebox_websocket_connections"


@pytest.fixture
def server(
    web_server: WebServerFactory, docker_engine: DockerEngine, postgresql: PostgreSQL
) -> Iterator[WebServer]:
    require("tmux", missing_programs())
    env = {
        "DOCKER_HOST": docker_engine.host,
        "DATABASE_URL": postgresql.new_database(),
        "VIBEBOX_STOP_GRACE": "0",
        "VIBEBOX_KEEPALIVE": "1",
        "VIBEBOX_WEBSOCKETS": str(TERMINALS),
        "VIBEBOX_WEBSOCKETS_PER_ACCOUNT": str(TERMINALS // WORKERS),
    }
    yield web_server(env, workers=WORKERS, threads=THREADS)
    docker_engine.clear()


@pytest.fixture
def api(server: WebServer) -> Iterator[Api]:
    with Api(server.url) as api:
        api.register("ada@example.org")
        api.login("ada@example.org")
        yield api


def new_environment(api: Api, image: str, name: str) -> str:
    environment = api.create(name, image, memory_limit_mb=2048, cpu_limit=2)
    assert api.act(environment, "start").status_code == 200
    return environment


def new_sessions(api: Api, environment: str, kind: str, number: int) -> list[str]:
    path = f"/environments/{environment}/sessions"
    made = [api.call("POST", path, {"type": kind}) for _ in range(number)]
    assert {response.status_code for response in made} == {201}
    return [str(response.json()["id"]) for response in made]


def measured(api: Api, server: WebServer, seconds: float) -> dict[str, dict[str, float]]:
    """Ask for two things in turn, a while, and return how long the answers took."""
    found: dict[str, list[float]] = {"/health": [], "/environments": []}
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        begun = time.monotonic()
        assert http.get(f"{server.url}/health").status_code == 200
        between = time.monotonic()
        assert api.call("GET", "/environments").status_code == 200
        found["/health"].append(between - begun)
        found["/environments"].append(time.monotonic() - between)
        time.sleep(0.01)
    return {what: summary(each) for what, each in found.items()}


def switches(server: WebServer) -> int:
    """Return how often a thread of a worker has gone to sleep so far."""
    total = 0
    for pid in server.worker_pids():
        for task in Path(f"/proc/{pid}/task").glob("*/status"):
            fields = dict(line.split(":", 1) for line in task.read_text().splitlines())
            total += int(fields["voluntary_ctxt_switches"])
    return total


@dataclass(frozen=True)
class Held:
    """What a worker holds, as the kernel counts it."""

    threads: int
    sockets: int
    others: Mapping[str, int]
    """Of its other descriptors the number of each kind."""

    @classmethod
    def by(cls, pid: int) -> "Held":
        links = []
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed by now
                links.append(os.readlink(link))
        kinds = Counter(
            re.sub(r"(?<=wgunicorn-)\w+|[0-9a-f]{8,}|[0-9]+", "*", link) for link in links
        )
        sockets = kinds.pop("socket:[*]", 0)
        return cls(psutil.Process(pid).num_threads(), sockets, kinds)

    @property
    def descriptors(self) -> int:
        return self.sockets + sum(self.others.values())


def held(server: WebServer) -> list[Held]:
    return [Held.by(pid) for pid in server.worker_pids()]


def settled(server: WebServer) -> list[Held]:
    """Return what is held once no connection of a request is kept open any more."""
    found = [held(server)]

    def still() -> bool:
        found.append(held(server))
        return len(found) > 8 and all(one == found[-1] for one in found[-8:])

    wait_until(still, PATIENCE, interval=0.2)
    return found[-1]


def published(server: WebServer) -> list[tuple[int, int]]:
    """Return threads and descriptors of the workers as the service says it."""
    metrics = server.metrics()

    def of(name: str, place: int) -> int:
        return int(metrics[name, frozenset({("worker", f"web-{place}")})])

    names = ("vibebox_process_threads", "vibebox_process_open_fds")
    return sorted((of(names[0], place), of(names[1], place)) for place in range(WORKERS))


def warm_up(api: Api, server: WebServer) -> None:
    """Ask every worker for everything: what it makes once and keeps is there then.

    The kernel chooses who answers; all have when they hold the same.
    """
    paths = ("/health/metrics", "/api/v1/environments") * 30
    wanted = [("GET", f"{server.url}{path}", None) for path in paths]

    def all_have_answered() -> bool:
        at_once.send(wanted, api.tokens["access_token"])
        return len({(one.threads, frozenset(one.others.items())) for one in held(server)}) == 1

    wait_until(all_have_answered, PATIENCE, otherwise=lambda: str(held(server)))


def crowd(api: Api, sessions: list[str], number: int = TERMINALS) -> Crowd:
    return Crowd(api.url, api.tokens["access_token"], sessions, number)


def test_a_crowd_of_terminals(server: WebServer, api: Api, docker_engine: DockerEngine) -> None:
    with docker_engine.client() as client:
        image = import_host_image(client)
    environment = new_environment(api, image, "one")
    assert server.metric(f"{CONNECTIONS}_limit") == WORKERS * TERMINALS
    warm_up(api, server)
    _all_is_given_back(api, server, environment)
    _the_rest_goes_on(api, server, image)


def _all_is_given_back(api: Api, server: WebServer, environment: str) -> None:
    """All look at one tmux, and go; the workers hold what they held before."""
    tmux = new_sessions(api, environment, "tmux", 1)
    before = settled(server)
    with crowd(api, tmux) as people:
        print("in one tmux:", people.do("look"))
        assert server.metric(CONNECTIONS) == TERMINALS
        among = held(server)
        people.do("close")
    wait_until(lambda: server.metric(CONNECTIONS) == 0, PATIENCE)
    wait_until(lambda: server.metric("vibebox_worker_threads", state="busy") == 0, PATIENCE)
    after = settled(server)
    for name, each in (("before", before), ("meanwhile", among), ("after", after)):
        print(f"threads, descriptors {name}: {[(one.threads, one.descriptors) for one in each]}")
    for one, then in zip(after, before, strict=True):
        assert (one.threads, one.others) == (then.threads, then.others)
        # Connections to the database and the engine are kept, once there are any.
        assert one.sockets <= then.sockets + POOLED
    wait_until(
        lambda: published(server) == sorted((one.threads, one.descriptors) for one in after),
        PATIENCE,
        otherwise=lambda: f"{published(server)} is said, {after} is true",
    )


def _the_rest_goes_on(api: Api, server: WebServer, image: str) -> None:
    """A shell for each at work, requests meanwhile, and the end of the service."""
    alone = measured(api, server, SECONDS)
    shells = [
        session
        for number in range(TERMINALS // MOST[Limit.SESSIONS])
        for session in new_sessions(
            api, new_environment(api, image, f"full-{number}"), "shell", MOST[Limit.SESSIONS]
        )
    ]
    with crowd(api, shells) as people:
        print("in shells of their own:", people.do("open"))
        for _ in range(2 * WORKERS):
            status, problem = refused(api, "/environments/status/stream")
            assert (status, problem["type"]) == (429, "urn:vibebox:problem:too-many-requests")

        before, begun = switches(server), time.monotonic()
        time.sleep(2)
        idle = (switches(server) - before) / (time.monotonic() - begun)
        print(f"all idle: {idle:.0f} times a second a thread wakes up")
        assert idle < TERMINALS, "far from once a second for each"

        people.begin(f"echo {SECONDS + 1}")
        among = measured(api, server, SECONDS)
        echo = people.end()
        print(f"alone: {alone}\namong {TERMINALS} terminals: {among}\ntheir echo: {echo}")
        assert echo["echoes"] >= TERMINALS
        for what, each in among.items():
            # On a quiet machine 50 ms; with the load of others on it nobody can say.
            assert each["p99_ms"] < max(1000, 10 * alone[what]["p99_ms"]), what

        begun = time.monotonic()
        server.signal(signal.SIGTERM)
        ended = people.do("ended")
        print(f"closed {ended['at'] - begun:.2f} s after SIGTERM")
        assert ended["codes"] == [[1001, TERMINALS]]
        assert ended["at"] - begun < 10, "generous for a slow machine; a quiet one takes under 2"
