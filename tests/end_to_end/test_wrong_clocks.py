"""Services whose clocks are wrong: one leads, probes say so, and nothing is deleted early."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from tests.backends import http, wrong_clock
from tests.backends.agent import COMMAND, Agent
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import ROOT, WebServer
from tests.conftest import WebServerFactory, require
from tests.end_to_end.api import Api

pytestmark = [pytest.mark.end_to_end, pytest.mark.full, pytest.mark.timeout(900)]

SECONDS = 600
KILLS = 18
REPLACED = 10.0
"""How long nobody may lead after the death of who did."""
# What is asked over HTTP and what the database says are not of one instant.
ASKEW = 1.5


@pytest.fixture(autouse=True)
def wrong_clocks() -> None:
    require("libfaketime", wrong_clock.missing())


class Site:
    """A web server and an agent of one host."""

    def __init__(self, web: WebServer, agent: Agent) -> None:
        self.web, self.agent = web, agent

    def leads(self) -> bool:
        """Return what its probe says of the agent."""
        checks = http.get(f"{self.web.url}/health/ready").json()["checks"]
        return bool(checks["agent"]["status"] == "up")


class Observer:
    """Compares what probes say with the lease, by the database's clock, all the time."""

    def __init__(self, url: str, sites: list[Site]) -> None:
        self._url, self._sites = url, sites
        self.faults: list[str] = []
        self.longest = 0.0
        self.looks = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Observer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with closing(psycopg2.connect(self._url)) as connection:
            connection.autocommit = True
            led = time.monotonic()
            wrong: dict[int, float] = {}
            while not self._over.wait(0.2):
                now = time.monotonic()
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT expires_at > clock_timestamp() AND expires_at <="
                        " clock_timestamp() + interval '9 s' FROM leases"
                    )
                    row = cursor.fetchone()
                truth = bool(row and row[0])
                if truth:
                    led = now
                self.longest = max(self.longest, now - led)
                for number, site in enumerate(self._sites):
                    if site.leads() == truth:
                        wrong.pop(number, None)
                    elif now - wrong.setdefault(number, now) > ASKEW:
                        self.faults.append(f"site {number} says {not truth} for {now:.0f}")
                self.looks += 1


def new_environment(api: Api, name: str, expires: timedelta) -> str:
    moment = (datetime.now(UTC) + expires).isoformat()
    body = {"name": name, "image": "busybox", "expires_at": moment}
    response = api.call("POST", "/environments", body)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def is_there(api: Api, environment: str) -> bool:
    return api.call("GET", f"/environments/{environment}").status_code == 200


@pytest.fixture
def agents() -> Iterator[Callable[[Agent], Agent]]:
    """A function that has an agent ended after the test."""
    made: list[Agent] = []

    def keep(agent: Agent) -> Agent:
        made.append(agent)
        return agent

    yield keep
    for agent in made:
        agent.close()


def test_two_services_of_which_one_is_an_hour_ahead(
    web_server: WebServerFactory,
    postgresql: PostgreSQL,
    agents: Callable[[Agent], Agent],
) -> None:
    """Killed in turn: one leads at all times but for seconds after a death."""
    url = postgresql.new_database()
    right = web_server({"DATABASE_URL": url}, workers=1)
    ahead = web_server({"DATABASE_URL": url, **wrong_clock.ahead("+1h")}, workers=1)
    sites = [
        Site(web, agents(Agent.beside(web, f"agent-{number}")))
        for number, web in enumerate((right, ahead))
    ]
    sites[1].agent.start()  # the one ahead leads first
    sites[0].agent.start(leading=False)
    with Api(right.url) as api, Observer(url.replace("+psycopg2", ""), sites) as observer:
        api.register("ada@example.org")
        api.login("ada@example.org")
        kept = new_environment(api, "kept", timedelta(minutes=30))
        short_at = time.monotonic() + 8
        short = new_environment(api, "short", timedelta(seconds=8))
        with Api(ahead.url) as other:  # whose host takes that moment for one long past
            other.login("ada@example.org")
            assert is_there(api, new_environment(other, "there", timedelta(minutes=30)))
        begun = time.monotonic()
        for number in range(KILLS):
            leader = sites[(number + 1) % 2].agent
            leader.kill()
            # Whoever is killed comes back, and does not get the lead from who has it by then.
            wait_until(lambda: any(site.leads() for site in sites), 1)
            time.sleep(max(REPLACED + 1, SECONDS / KILLS - 4))
            assert sites[0].leads() and sites[1].leads()
            leader.start(leading=False)
            if time.monotonic() < short_at:
                assert is_there(api, short)
            assert is_there(api, kept)
        time.sleep(max(0.0, SECONDS - (time.monotonic() - begun)))
        wait_until(lambda: not is_there(api, short), 30)
        assert is_there(api, kept)
        for site in sites:
            check = subprocess.run([*COMMAND, "--check"], cwd=ROOT, env=site.agent.env, timeout=60)
            assert check.returncode == 0

    print(
        f"{observer.looks} looks, {KILLS} deaths: nobody led for {observer.longest:.1f} s at most"
    )
    assert observer.faults == []
    assert observer.longest <= REPLACED


def test_clock_of_the_agent_is_stepped_both_ways(
    web_server: WebServerFactory, tmp_path: Path, agents: Callable[[Agent], Agent]
) -> None:
    """On SQLite, whose clock is the host's; also where the agent is started anew under it."""
    server = web_server(workers=1)
    assert make_url(server.env["DATABASE_URL"]).get_backend_name() == "sqlite"
    clock = wrong_clock.SteppedClock(tmp_path / "clock")
    agent = agents(Agent.beside(server, **clock.environment)).start()
    with Api(server.url) as api:
        api.register("ada@example.org")
        api.login("ada@example.org")
        kept = new_environment(api, "kept", timedelta(minutes=30))
        gone = new_environment(api, "gone", timedelta(seconds=3))
        wait_until(lambda: not is_there(api, gone), 30)  # it works, and knows the clock
        for offset in ("+1h", "+0s", "-1h", "+1h"):
            clock.set(offset)
            time.sleep(60)  # it looks every five seconds
            assert is_there(api, kept), offset
        agent.kill()
        agent.start(leading=False)
        time.sleep(60)
        assert is_there(api, kept), "started under a clock that is ahead"
