"""Every request is counted exactly once, over several workers, whatever becomes of it."""

import random
import string
from collections import Counter
from urllib.parse import quote

import pytest

from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.web import Sample, WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import Api
from tests.end_to_end.traffic import ANY, ASSET, ASSET_ROUTE, UNMATCHED, Kind, counted, send_all
from tests.sizes import size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

ENVIRONMENTS = "/api/v1/environments"
ENVIRONMENT = "/api/v1/environments/<environment_id>"
Counts = Counter[tuple[str, str, str]]


def http_counts(metrics: dict[Sample, float], name: str) -> Counts:
    """Return the samples of an HTTP family by method, route and status_code, health apart."""
    counts: Counts = Counter()
    for (sample, labels), value in metrics.items():
        of = dict(labels)
        if sample == name and of["route"] != "/health/metrics":
            counts[of["method"], of["route"], of["status_code"]] = int(value)
    return counts


def kinds(token: str) -> list[Kind]:
    bearer = {"Authorization": f"Bearer {token}"}
    sent_json = {"Content-Type": "application/json"}
    return [
        Kind("200", "GET", "/health", "/health", 200),
        Kind("HEAD", "HEAD", "/health/live", "/health/live", 200),
        Kind("OPTIONS", "OPTIONS", ENVIRONMENTS, ENVIRONMENTS, 200),
        Kind("authenticated", "GET", "/api/v1/auth/me", "/api/v1/auth/me", 200, bearer),
        Kind("401", "GET", "/api/v1/auth/me", "/api/v1/auth/me", 401),
        Kind("list", "GET", f"{ENVIRONMENTS}?limit=1", ENVIRONMENTS, 200, bearer),
        Kind("404", "GET", f"{ENVIRONMENTS}/nobody", ENVIRONMENT, 404, bearer),
        Kind("422", "POST", ENVIRONMENTS, ENVIRONMENTS, 422, {**bearer, **sent_json}, b"{}"),
        Kind("400", "POST", "/api/v1/auth/login", "/api/v1/auth/login", 400, sent_json, b"{"),
        Kind("503 engine down", "GET", "/health/ready", "/health/ready", 503),
        Kind("unmatched", "GET", "/no/such/path?token=secret", UNMATCHED, 404),
        Kind("405", "PUT", "/health", UNMATCHED, 405),
        Kind("other method", "BREW", "/pot", UNMATCHED, 404, label="OTHER"),
        Kind("streamed", "GET", ASSET, ASSET_ROUTE, 200),
        Kind("aborted by the client", "GET", ASSET, ASSET_ROUTE, 200, aborted=True),
    ]


OF_EACH_KIND = size(70, 700)


@pytest.fixture
def server(web_server: WebServerFactory, postgresql: PostgreSQL) -> WebServer:
    return web_server({"DATABASE_URL": postgresql.new_database()}, workers=4)


@pytest.mark.timeout(240)
def test_many_requests_are_counted_exactly(server: WebServer) -> None:
    with Api(server.url) as api:
        api.register("ada@example.org")
        api.login("ada@example.org")
        api.create("one", "busybox:1")
    plan = {kind: OF_EACH_KIND for kind in kinds(api.tokens["access_token"])}
    assert sum(plan.values()) > size(1_000, 10_000)
    before = server.metrics()

    send_all(server.port, plan)

    expected = counted(plan)
    name = "vibebox_http_requests_total"

    def settled() -> bool:
        # An aborted request ends when the server next writes to it.
        grown = http_counts(server.metrics(), name) - http_counts(before, name)
        return sum(grown.values()) >= sum(expected.values())

    wait_until(settled, 20)
    after = server.metrics()
    assert http_counts(after, name) - http_counts(before, name) == expected
    durations = "vibebox_http_request_duration_seconds_count"
    assert http_counts(after, durations) - http_counts(before, durations) == expected
    waited: Sample = ("vibebox_http_queue_wait_seconds_count", frozenset())
    assert after[waited] - before[waited] == sum(
        times for (_, route, _), times in expected.items() if not route.startswith("/health")
    )
    assert errors_by_status(after) - errors_by_status(before) == error_counts(expected)
    assert server.metric("vibebox_active_connections") == 0
    assert server.metric("vibebox_metrics_label_overflow_total") == OF_EACH_KIND


def error_counts(expected: Counts) -> Counter[tuple[str, str, str]]:
    errors: Counter[tuple[str, str, str]] = Counter()
    for (_method, route, status), times in expected.items():
        if int(status) >= 400:
            kind = "client_error" if int(status) < 500 else "server_error"
            errors[kind, route, status] += times
    return errors


def errors_by_status(metrics: dict[Sample, float]) -> Counter[tuple[str, str, str]]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for (sample, labels), value in metrics.items():
        of = dict(labels)
        if sample == "vibebox_api_errors_total":
            counts[of["type"], of["route"], of["status_code"]] = int(value)
    return counts


def test_random_paths_and_methods_add_no_series_after_warm_up(server: WebServer) -> None:
    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"]
    warm_up = (
        {
            Kind(f"{method} {path}", method, path, UNMATCHED, status): 1
            for method in methods
            for path, status in (("/nothing", 404), ("/openapi", 308))
            if status == 404 or method in ("GET", "HEAD")
        }
        | {
            Kind(f"405 {method}", method, "/health", UNMATCHED, 405): 1
            for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND")
        }
        | {Kind("other", "BREW", "/pot", UNMATCHED, 404, label="OTHER"): 1}
        # Too short for a method: the server refuses it.
        | {Kind("refused", "X1", "/pot", UNMATCHED, 400, label="OTHER"): 1}
    )
    # The last thing that a process publishes for the first time, by the master and four workers.
    memory = "vibebox_process_proportional_memory_bytes"
    wait_until(lambda: sum(name == memory for name, _ in server.metrics()) == 5, 20)
    wait_until(lambda: server.metric("vibebox_workers") == 4, 20)
    send_all(server.port, warm_up)
    server.metrics()  # its own series
    series = set(server.metrics())

    plan: dict[Kind, int] = {}
    for number in range(1000):
        word = "".join(random.choices(string.ascii_letters + "/%._-é", k=random.randint(1, 40)))
        path = f"/{number}/{quote(word)}"
        method = random.choice([*methods, "BREW", f"X{number}"])
        plan[Kind(path, method, path, UNMATCHED, ANY)] = 1
    send_all(server.port, plan)

    assert set(server.metrics()) - series == set()


def test_scrape_does_not_count_itself_as_active(server: WebServer) -> None:
    assert [server.metric("vibebox_active_connections") for _ in range(10)] == [0] * 10


def test_environments_docker_database_and_auth_move_by_the_exact_amount(
    web_server: WebServerFactory, postgresql: PostgreSQL, docker_engine: DockerEngine
) -> None:
    server = web_server(
        {"DATABASE_URL": postgresql.new_database(), "DOCKER_HOST": docker_engine.host}, workers=4
    )
    before = server.metrics()
    with Api(server.url) as api:
        api.register("ada@example.org")
        assert api.login("ada@example.org", "wrong password!").status_code == 401
        assert api.login("ada@example.org").ok
        ids = [api.create(f"env-{number}", docker_engine.busybox) for number in range(4)]
        broken = api.create("broken", "no/such-image:1", pull="never")
        for one in ids[:3]:
            assert api.act(one, "start").ok
        assert api.act(ids[0], "restart").ok
        assert api.act(ids[1], "stop").ok
        assert api.act(ids[2], "start").status_code == 409
        assert api.act(broken, "start").status_code == 422
        refresh = {"refresh_token": api.tokens["refresh_token"]}
        assert api.call("POST", "/auth/refresh", refresh).ok
        assert api.call("POST", "/auth/refresh", {"refresh_token": "vbx_rt_no"}).status_code == 401
        assert api.call("GET", "/auth/me", token="vbx_at_no").status_code == 401
    after = server.metrics()

    def moved(name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return after[key] - before.get(key, 0)

    assert {
        status: moved("vibebox_environments_total", status=status)
        for status in ("running", "stopped", "error", "starting", "stopping", "paused")
    } == {"running": 2, "stopped": 2, "error": 1, "starting": 0, "stopping": 0, "paused": 0}
    # A first start inspects the image, makes volume and container, starts and inspects, and waits
    # for the answer of an exec, after which it looks once more; a restart looks first and does the
    # same; a stop looks before and after; the conflict is decided in the database; the missing
    # image is a sound answer.
    assert {
        operation: moved("vibebox_docker_operations_total", operation=operation, status="success")
        for operation in (
            "create",
            "start",
            "stop",
            "restart",
            "remove",
            "inspect",
            "exec",
            "volume",
        )
    } == {
        "create": 3,
        "start": 3,
        "stop": 1,
        "restart": 1,
        "remove": 0,
        "inspect": 3 * 3 + 3 + 2 + 1,
        "exec": 4,
        "volume": 3,
    }
    assert (
        sum(
            value
            for (name, labels), value in after.items()
            if name == "vibebox_docker_operations_total" and ("status", "failure") in labels
        )
        == 0
    )
    assert moved("vibebox_docker_operation_duration_seconds_count", operation="start") == 3
    starts = "vibebox_environment_start_duration_seconds_count"
    assert {
        outcome: moved(starts, outcome=outcome) for outcome in ("success", "user_error", "failure")
    } == {"success": 3, "user_error": 1, "failure": 0}
    attempts = "vibebox_auth_attempts_total"
    assert moved(attempts, method="password", status="success") == 1
    assert moved(attempts, method="password", status="failure") == 1
    assert moved(attempts, method="refresh", status="success") == 1
    assert moved(attempts, method="refresh", status="failure") == 1
    assert moved(attempts, method="token", status="failure") == 1
    tokens_checked = 5 + 3 + 4  # creations, starts, and restart, stop, conflict, missing image
    assert moved(attempts, method="token", status="success") == tokens_checked
    statements = "vibebox_db_query_duration_seconds_count"
    assert moved(statements, operation="insert", model="environments") == 5
    assert moved(statements, operation="insert", model="users") == 1
    # Each change of status takes two updates; the conflict tries one.
    assert moved(statements, operation="update", model="environments") == 2 * (3 + 2 + 1) + 1
