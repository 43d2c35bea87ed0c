"""On a live stack under load no panel is empty, and what panels show is what the load did.

One stack with PostgreSQL, Docker Engine and Prometheus. Scrapes come every two seconds instead of
every 15, and Grafana's rate interval follows.
"""

import json
import math
import re
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import yaml

from tests.backends.docker_engine import DockerEngine
from tests.backends.host_image import missing_programs
from tests.backends.postgresql import PostgreSQL
from tests.backends.prometheus import Prometheus, Vector
from tests.backends.registry import Registry
from tests.conftest import require
from tests.end_to_end.families.moves import DOCKER, REQUESTS, Moves, moves
from tests.end_to_end.families.stack import Stack
from tests.monitoring.boards import load
from tests.monitoring.boards.known import ROOT, RULES
from tests.monitoring.boards.lint_boards import BOARDS, panels
from tests.monitoring.boards.load import by, without
from tests.monitoring.boards.promql import substituted, without_condition, without_fallback
from tests.monitoring.boards.window import Window, board, query_of

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

PATIENCE = 30.0
# Seconds: a scrape has as long to be answered, and the machine may be busy.
INTERVAL = 2
RATE_INTERVAL = f"{4 * INTERVAL}s"
USAGE_JOBS = ROOT / "deploy" / "prometheus" / "usage.yml"
RUNBOOKS = RULES.parent / "runbooks"
_QUERY = re.compile(r"```promql\n(.*?)```", re.DOTALL)
# Routes that the panels of users' requests leave out.
_PROBES = re.compile("/health.*|synthetic|unmatched|.*/(stream|terminal|events)")
_ALWAYS = {
    "groups": [
        {
            "name": "always",
            "rules": [
                {
                    "alert": "AlwaysFiring",
                    "expr": "vector(1)",
                    "labels": {"job": "vibebox-backend", "severity": "info"},
                }
            ],
        }
    ]
}
"""A rule whose alert fires while all is well, so that there is one to be shown."""
_RULE_FILES = [str(RULES / f"{name}.yml") for name in ("recording", "slo")]


@dataclass
class Seen:
    """What the load did, and when Prometheus had seen it."""

    prometheus: Prometheus
    steps: Window
    record: Moves
    slow: list[float]
    whole: Window
    sockets: int
    ledger: Prometheus
    """Has what teams and environments use. Its scrapes are requests as well: it came later."""


@pytest.fixture(scope="module")
def seen(
    tmp_path_factory: pytest.TempPathFactory,
    postgresql: PostgreSQL,
    docker_engine: DockerEngine,
    registry: Registry,
) -> Iterator[Seen]:
    """Run the load once, under the eyes of Prometheus."""
    require("Prometheus", Prometheus.installed())
    require("tmux", missing_programs())
    directory = tmp_path_factory.mktemp("alive")
    stack = Stack(directory, postgresql, docker_engine, registry, load.SETTINGS)
    try:
        stack.start()
        with closing(prometheus_of(stack)) as prometheus:
            with ExitStack() as services:
                yield _under_load(stack, prometheus, services)
    finally:
        stack.close()


def prometheus_of(stack: Stack, rule_files: Sequence[str] = (), usage: bool = False) -> Prometheus:
    """Start a Prometheus that scrapes the stack and computes what dashboards read.

    rule_files: what it computes, where it is not what is recorded and one alert that fires.
    usage: whether it scrapes what teams and environments use as well.
    """
    target = f"127.0.0.1:{stack.server.port}"
    always = stack.server.log.with_name("always.yml")
    always.write_text(json.dumps(_ALWAYS))
    rules = f"rule_files: {json.dumps([*(rule_files or (*_RULE_FILES, str(always)))])}"
    flags = ["--enable-feature=exemplar-storage"]
    return Prometheus(
        [target],
        scrape_interval=f"{INTERVAL}s",
        extra_config=rules,
        flags=flags,
        scrapes=[*_usage_jobs(target)] if usage else (),
    )


def _ledger_of(stack: Stack) -> Prometheus:
    """Start a Prometheus that scrapes what teams and environments use, and nothing else."""
    jobs = [*_usage_jobs(f"127.0.0.1:{stack.server.port}")]
    return Prometheus([], scrape_interval=f"{INTERVAL}s", scrapes=jobs)


def _usage_jobs(target: str) -> Iterator[dict[str, Any]]:
    """Yield the shipped jobs of what teams and environments use, for this target."""
    for job in yaml.safe_load(USAGE_JOBS.read_text())["scrape_configs"]:
        yield {
            **job,
            "scrape_interval": f"{INTERVAL}s",
            "static_configs": [{"targets": [target]}],
        }


def _under_load(stack: Stack, prometheus: Prometheus, services: ExitStack) -> Seen:
    load.warm_up(stack)
    _scraped(prometheus)
    start = time.time()
    _scraped(prometheus)
    record = load.run_steps(stack)
    slowly, durations = load.ask_slowly(stack)
    # A request is counted when its response is closed, a moment after the client has read it.
    _scraped(prometheus)
    _scraped(prometheus)
    steps = Window.since(prometheus, start)

    load.write_lines(stack)
    load.fail_to_come_in(stack)
    load.install_extension(stack)
    load.use_a_team(stack)
    ledger = services.enter_context(closing(_ledger_of(stack)))
    # Booked once in each round of the ledger: a rate needs two of them.
    for title in ("CPU by environment", "Cost (time shown)"):
        used = query_of("team", title)
        ledger.wait_for(
            substituted(used, team=".+", __rate_interval="15s", __range="1h"),
            lambda found: any(value > 0 for _, value in found),
            PATIENCE,
        )
    load.fail_to_come_in(stack)
    with load.sessions_in_use(stack) as sockets:
        for title, kind in (("tmux sessions", "tmux"), ("Shell sessions", "shell")):
            query = substituted(query_of("environments", title))
            wanted = partial(_shows, partial(load.active_sessions, stack, kind))
            prometheus.wait_for(query, wanted, PATIENCE)
        _scraped(prometheus)
    lines = query_of("environments", "Log volume by stream")
    prometheus.wait_for(
        substituted(lines, __range="1h"),
        lambda found: len([value for _, value in found if value > 0]) == len(load.LINES),
    )
    steps_of_rounds = query_of("slo", "Time of each step")
    prometheus.wait_for(
        substituted(steps_of_rounds, __rate_interval="30s"),
        lambda found: any(math.isfinite(value) for _, value in found),
        PATIENCE,
    )
    extensions = query_of("environments", "Extension installations by result")
    prometheus.wait_for(
        substituted(extensions, __range="1h"),
        lambda found: any(value > 0 for _, value in found),
        PATIENCE,
    )
    stack.hang_up()
    # A worker finds that a client has gone when it looks at the socket again.
    prometheus.wait_for(
        substituted(query_of("api-performance", "WebSocket connections")),
        lambda found: [value for _, value in found] == [0],
        PATIENCE,
    )
    _scraped(prometheus)
    whole = Window.since(prometheus, start)
    return Seen(prometheus, steps, moves(record, slowly), durations, whole, sockets, ledger)


def _shows(count: Callable[[], int], found: Vector) -> bool:
    """Tell whether a panel of one number shows what is counted, and that is something."""
    return [value for _, value in found] == [count()] != [0]


def _scraped(prometheus: Prometheus) -> None:
    """Wait until a scrape that began from now on is stored."""
    now = time.time()
    prometheus.wait_for("timestamp(up) * up", lambda found: bool(found) and found[0][1] > now)


def test_no_panel_is_empty(seen: Seen, subtests: pytest.Subtests) -> None:
    for name in BOARDS:
        for panel in panels(board(name)):
            for target in panel["targets"]:
                with subtests.test(f"{name}: {panel['title']} {target['refId']}"):
                    shown = _of_teams if name == "team" else _values
                    query = without_condition(target["expr"])
                    found = list(shown(seen, query, target["instant"]))
                    assert any(map(math.isfinite, found))


def _values(seen: Seen, expression: str, instant: bool) -> Iterator[float]:
    """Yield what a panel would draw of the whole time, of which nothing is made up."""
    window = seen.whole
    query = substituted(
        without_fallback(expression),
        __rate_interval=RATE_INTERVAL,
        __range=f"{math.ceil(window.seconds)}s",
        __interval=f"{INTERVAL}s",
    )
    if instant:
        yield from (value for _, value in seen.prometheus.query(query, at=window.times[-1]))
        return
    for _, values in seen.prometheus.query_range(
        query, window.times[0], window.times[-1], INTERVAL
    ):
        yield from values


def _of_teams(seen: Seen, expression: str, _instant: bool) -> Iterator[float]:
    """Yield what a panel about teams would draw of the time since the ledger was read."""
    query = substituted(
        expression, team=".+", __rate_interval="15s", __range="1h", __interval=f"{INTERVAL}s"
    )
    times = seen.ledger.sample_times("vibebox_team_series_left_out")
    for _, values in seen.ledger.query_range(query, times[0], times[-1], INTERVAL):
        yield from values


_OF_OTHERS = {'up{job="alertmanager"}'}
"""What runbooks ask of jobs that are not here; those of the shipped configuration have them."""


def test_every_query_of_a_runbook_finds_something(seen: Seen, subtests: pytest.Subtests) -> None:
    runbooks = sorted(RUNBOOKS.glob("[A-Z]*.md"))
    assert runbooks
    for runbook in runbooks:
        queries = _QUERY.findall(runbook.read_text())
        with subtests.test(runbook.stem):
            assert queries
            for query in {query.strip() for query in queries} - _OF_OTHERS:
                found = seen.prometheus.query(without_fallback(query), at=seen.whole.times[-1])
                assert any(math.isfinite(value) for _, value in found), query


def test_latencies_show_single_requests(seen: Seen, subtests: pytest.Subtests) -> None:
    asked = [
        (panel["title"], target["expr"])
        for name in BOARDS
        for panel in panels(board(name))
        for target in panel["targets"]
        if target.get("exemplar")
    ]
    assert asked
    for title, expression in asked:
        with subtests.test(title):
            series = seen.prometheus.exemplars(substituted(expression, __rate_interval="1m"))
            labels = [each["labels"] for found in series for each in found["exemplars"]]
            assert labels and all({"request_id", "trace_id"} & set(has) for has in labels)


def of_users(record: Moves, name: str = REQUESTS) -> Moves:
    """Return the record of users' requests."""
    return without(record, lambda has: bool(_PROBES.fullmatch(has["route"])), name)


def test_counts_of_requests_are_those_of_the_load(seen: Seen) -> None:
    window, record = seen.steps, seen.record
    scraped = {"GET": window.scrapes, "200": window.scrapes, "2xx": window.scrapes}

    def with_scrapes(expected: Counter[tuple[str, ...]]) -> Counter[tuple[str, ...]]:
        """Add what Prometheus asked itself, and leave out what is nothing."""
        return +Counter({key: n + scraped.get(key[0], 0) for key, n in expected.items()})

    overview, api = "vibebox-overview", "api-performance"
    classes: Counter[tuple[str, ...]] = Counter()
    for (code,), number in by(record, REQUESTS, "status_code").items():
        classes[f"{code[0]}xx",] += number
    assert window.amounts(overview, "Requests by status class", "class") == with_scrapes(classes)
    assert window.amounts(overview, "Requests by method", "method", rate=False) == with_scrapes(
        by(record, REQUESTS, "method")
    )
    assert window.amounts(api, "Request rate by status code", "status_code") == with_scrapes(
        by(record, REQUESTS, "status_code")
    )
    users = of_users(record)
    assert window.amounts(overview, "Request rate") == {(): users.total()}
    failed = [n for (code,), n in by(users, REQUESTS, "status_code").items() if code >= "500"]
    ((_, ratio),) = window.shown(overview, "Server error ratio")
    assert ratio == pytest.approx(sum(failed) / users.total(), rel=1e-3)
    busiest = window.amounts(overview, "Top 10 busiest routes", "method", "route")
    expected = by(
        without(record, lambda has: has["route"].startswith("/health"), REQUESTS),
        REQUESTS,
        "method",
        "route",
    )
    assert len(busiest) == 10 and busiest.items() <= expected.items()
    assert sorted(busiest.values()) == sorted(expected.values())[-10:]


def test_counts_of_errors_are_those_of_the_load(seen: Seen) -> None:
    window, errors = seen.steps, "vibebox_api_errors_total"
    expected = by(seen.record, errors, "type")
    assert window.amounts("api-performance", "Errors by type", "type") == expected

    routes: Counter[tuple[str, ...]] = Counter()
    for (route, code), number in by(seen.record, errors, "route", "status_code").items():
        routes[route,] += number if code >= "500" else 0
    assert window.amounts("api-performance", "Errors by route", "route", rate=False) == +routes


def test_calls_of_docker_are_those_of_the_load(seen: Seen) -> None:
    window = seen.steps
    expected = by(seen.record, DOCKER, "operation")
    shown = window.amounts("environments", "Docker operations by kind", "operation")
    assert len(shown) == 4 and shown.items() <= expected.items()
    assert sorted(shown.values()) == sorted(expected.values())[-4:]
    rest = window.amounts("environments", "Docker operations by kind", reference="B")
    assert rest == {(): expected.total() - sum(shown.values())}

    failed = by(seen.record, DOCKER, "operation", status="failure")
    bars = window.amounts("environments", "Failed calls by kind", "operation", rate=False)
    assert bars and bars == +failed
    ((_, of_all),) = window.shown("environments", "Docker failure ratio", "B")
    assert of_all == pytest.approx(failed.total() / expected.total(), rel=1e-3)


def test_states_and_lines_are_those_of_the_load(seen: Seen) -> None:
    states = seen.steps.amounts("vibebox-overview", "Environments by status", "status", rate=False)
    assert states == by(seen.record, "vibebox_environments_total", "status")
    lines = seen.whole.amounts("environments", "Log volume by stream", "stream", rate=False)
    assert lines == {(stream,): number for stream, number in load.LINES.items()}
    query = substituted(query_of("api-performance", "WebSocket connections"))
    first, last = seen.whole.times[0], seen.whole.times[-1]
    ((_, open_sockets),) = seen.prometheus.query_range(query, first, last, INTERVAL)
    assert max(open_sockets) == seen.sockets and open_sockets[-1] == 0


def test_extensions_are_those_of_the_load(seen: Seen) -> None:
    shown = seen.whole.amounts(
        "environments", "Extension installations by result", "status", rate=False
    )
    assert shown == {("failure",): 1}


def test_latencies_lie_in_the_buckets_of_the_load(seen: Seen) -> None:
    """The client sees a little more than the server: the way, and the wait for a thread."""
    slow = sorted(seen.slow)
    for reference, share in (("A", 0.95), ("B", 0.5)):
        shown = {
            (has["method"], has["route"]): value
            for has, value in seen.steps.shown(
                "api-performance", "Top 10 slowest routes", reference
            )
        }
        measured = slow[math.ceil(share * len(slow)) - 1]
        least, _ = bucket_of(seen, measured - 0.5)
        _, most = bucket_of(seen, measured)
        assert least <= shown["GET", load.SLOW] <= most
        assert most == 2.5, "the load is made for a bucket that nothing else reaches"
    ((_, p50),) = seen.steps.shown("api-performance", "Latency p50")
    ((_, p99),) = seen.steps.shown("api-performance", "Latency p99")
    assert p50 < 1 < p99


def bucket_of(seen: Seen, seconds: float) -> tuple[float, float]:
    """Return the bounds of the bucket of a duration, as Prometheus knows them."""
    found = seen.prometheus.query("group by (le) (vibebox_http_request_duration_seconds_bucket)")
    bounds = (0.0, *sorted(float(has["le"]) for has, _ in found))
    upper = bisect_left(bounds, seconds)
    return bounds[upper - 1], bounds[upper]
