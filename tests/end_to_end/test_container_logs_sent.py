"""What containers write arrives at the real VictoriaLogs: whole, and doubles are counted."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.backends.agent import Agent
from tests.backends.docker_engine import DockerEngine
from tests.backends.fitful_store import FitfulStore
from tests.backends.programs import wait_until
from tests.backends.victoria_logs import VictoriaLogs
from tests.conftest import WebServerFactory
from tests.end_to_end.api import Api
from tests.engine.images import commit
from tests.sizes import FULL, size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(size(180, 900))]

CONTAINERS = 5
BURSTS = size(16, 100)
BURST = size(20, 200)
"""Lines of a container at once; a tenth of them to stderr."""
ROUNDS = size(1, 6)
PATIENCE = size(60.0, 300.0)
STREAM = '{service.name="whole-environment"}'
NUMBERS = "count() n, count_uniq(seq) u, min(seq) least, max(seq) most"


@pytest.fixture
def store(victoria_logs: VictoriaLogs) -> Iterator[FitfulStore]:
    headers = {"VL-Stream-Fields": "service.name,log.iostream"}
    with FitfulStore(victoria_logs.otlp_url, headers) as store:
        yield store


def settings(store: FitfulStore, engine: DockerEngine) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": store.url,
        "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "1500",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_SERVICE_NAME": "whole",
        "VIBEBOX_CONTAINER_LOGS_EXPORTER": "otlp",
        "VIBEBOX_STOP_GRACE": "0",
        "DOCKER_HOST": engine.host,
    }


def test_lines_arrive_whole(
    victoria_logs: VictoriaLogs,
    store: FitfulStore,
    web_server: WebServerFactory,
    docker_engine: DockerEngine,
    request: pytest.FixtureRequest,
) -> None:
    env = settings(store, docker_engine)
    if FULL:  # so much, from two agents at once, is for a server
        env["DATABASE_URL"] = request.getfixturevalue("postgresql").new_database()
    server = web_server(env, workers=1)
    agents = [Agent.beside(server, name) for name in ("first", "second")]
    try:
        agents[0].start()
        agents[1].start(leading=False)
        with Api(server.url) as api:
            api.sign_up()
            _start(api, docker_engine)
        for _ in range(ROUNDS):
            _trouble(store, agents)
        expected = BURSTS * BURST
        by_container = f'{STREAM} | stats by ("container.id") {NUMBERS}'

        def whole(rows: list[dict[str, str]]) -> bool:
            return sum(int(row["u"]) for row in rows) == CONTAINERS * expected

        victoria_logs.wait_for(by_container, whole, PATIENCE)
        lines = partial(server.metric, "vibebox_container_log_lines_total")
        wait_until(lambda: lines(result="accepted") == CONTAINERS * expected, PATIENCE)
        rows = victoria_logs.query(by_container)  # with the doubles that came last
    finally:
        for agent in agents:
            agent.close()
        docker_engine.clear()
    assert len(rows) == CONTAINERS
    for row in rows:
        assert (row["least"], row["most"], row["u"]) == ("1", str(expected), str(expected))
    doubles = sum(int(row["n"]) - int(row["u"]) for row in rows)
    terms = sum(agent.events("leading") for agent in agents)
    doubtful = lines(result="doubtful")
    print(f"{CONTAINERS * expected} lines, {doubles} doubles, {doubtful:g} counted, {terms} terms")
    if terms == 1 + ROUNDS:
        assert 0 < doubles == doubtful
    else:  # on a busy machine: who is replaced before he sends leaves a doubt, and no double
        assert 0 < doubles <= doubtful
    assert lines(result="lost") == lines(result="rejected") == lines(result="refused") == 0
    _assert_doubles_are_equal(victoria_logs)
    assert store.longest < 1 << 20
    assert victoria_logs.streams(STREAM) == [
        f'{{log.iostream="{stream}",service.name="whole-environment"}}'
        for stream in ("stderr", "stdout")
    ]


def _start(api: Api, engine: DockerEngine) -> None:
    some, few = BURST - BURST // 10, BURST // 10
    script = f"for b in $(seq {BURSTS}); do seq {some}; seq {few} >&2; sleep 0.2; done"
    client: Any = engine.client()
    image = commit(client, engine, script)
    for number in range(CONTAINERS):
        box = api.create(f"writes-{number}", image)
        answer = api.call("POST", f"/environments/{box}/start")
        assert answer.status_code in (200, 202), answer.text


def _trouble(store: FitfulStore, agents: list[Agent]) -> None:
    """Let everything go wrong once; in the end who has sent is killed, and another leads."""
    store.lose(2)
    store.be_busy(after=1)
    wait_until(lambda: store.is_calm, PATIENCE)
    store.die()
    time.sleep(1.0)
    store.revive()
    store.dawdle(3.0)
    wait_until(lambda: store.is_calm, PATIENCE)
    killed: list[Agent] = []

    def kill() -> None:
        killed.extend(agent for agent in agents if _leads(agent))
        for agent in killed:
            agent.kill()

    store.call(kill)
    wait_until(lambda: store.is_calm and bool(killed), PATIENCE)
    wait_until(lambda: any(map(_leads, set(agents) - set(killed))), PATIENCE)
    for agent in killed:
        agent.start(leading=False)


def _leads(agent: Agent) -> bool:
    """Tell whether the process that runs now leads, by what it has said since its start."""
    events = ("agent started", "leading", "leading no longer")
    told = [line["event"] for line in agent.lines() if line["event"] in events]
    return agent.running and told[-1:] == ["leading"]


def _assert_doubles_are_equal(victoria_logs: VictoriaLogs) -> None:
    twice = victoria_logs.query(
        f'{STREAM} | stats by ("container.id", seq) count() n, count_uniq(_msg) texts,'
        " count_uniq(_time) times, count_uniq(_stream) streams | filter n:>1"
    )
    assert twice
    assert {(row["texts"], row["times"], row["streams"]) for row in twice} == {("1", "1", "1")}
