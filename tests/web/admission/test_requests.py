"""What may take long is limited by account; what takes milliseconds is never refused."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from app.web.api.lasting import TAKE_LONG
from tests.support.application import User, parts
from tests.support.checks import assert_problem, moved
from tests.support.fakes import FakeEngine
from tests.support.routes import ROUTES, Route, operations
from tests.web.api.test_environments import one

REFUSALS = "vibebox_limit_refusals_total"
SEARCHES = {
    "app.web.api.alerts.explanation",
    "app.web.api.alerts.index",
    "app.web.api.audit.index",
    "app.web.api.doctor.index",
    "app.web.api.extensions.upload",
    "app.web.api.logs.index",
    "app.web.api.request_lines.index",
    "app.web.api.silences.create",
    "app.web.api.silences.end",
    "app.web.api.silences.index",
    "app.web.api.usage.index",
}
"""What takes long without Docker."""


def view(app: OpenAPI, endpoint: str) -> str:
    function = app.view_functions[endpoint]
    return f"{function.__module__}.{function.__qualname__}"


@pytest.fixture
def slow(app: OpenAPI) -> list[Route]:
    """The routes whose view is limited."""
    found = {
        (method, rule.rule)
        for method, rule, _ in operations(app)
        if view(app, rule.endpoint) in TAKE_LONG
    }
    return [route for route in ROUTES if (route.method, route.rule) in found]


def test_what_asks_docker_takes_long(app: OpenAPI) -> None:
    """A route that may end in a time-out of Docker's holds its thread for as long as that."""
    asks = {
        view(app, rule.endpoint)
        for _, rule, operation in operations(app)
        if "504" in operation["responses"]
    }
    assert len(asks) == 11
    assert TAKE_LONG == asks | SEARCHES


def test_account_over_its_share_is_refused_everywhere(
    app: OpenAPI, user: User, stranger: User, slow: list[Route], subtests: pytest.Subtests
) -> None:
    admission = parts(app).admission
    with ExitStack() as stack:
        for _ in range(3):  # half of six, of eight threads
            stack.enter_context(admission.request(user.id))
        for route in slow:
            with subtests.test(str(route)):
                with moved(REFUSALS) as refusals:
                    answer = user.send(route.method, route.path, json=route.good)
                problem = assert_problem(answer, 429, "too-many-requests")
                assert "3 requests that take long" in problem["detail"]
                assert answer.headers["Retry-After"] == "1"
                assert refusals == {("requests",): 1}
                assert stranger.send(route.method, route.path, json=route.good).status_code != 429
        for route in ROUTES:
            if route not in slow and route.guarded and "/stream" not in route.rule:
                if route.rule.endswith(("/logout", "/terminal")):
                    continue
                with subtests.test(str(route)):
                    answer = user.send(route.method, route.path, json=route.good)
                    assert answer.status_code not in (429, 503)


def test_server_that_is_full_says_so(app: OpenAPI, user: User, slow: list[Route]) -> None:
    admission = parts(app).admission
    with ExitStack() as stack:
        for number in range(6):
            stack.enter_context(admission.request(str(number)))
        with moved(REFUSALS) as refusals:
            answer = user.get(one(user.new_environment(), "stats"))
        assert_problem(answer, 503, "server-busy")
        assert answer.headers["Retry-After"] == "1"
        assert refusals == {("server_requests",): 1}
        assert user.get("/api/v1/environments").status_code == 200


def test_places_come_back(user: User, slow: list[Route]) -> None:
    """Whatever the answer was."""
    for _ in range(4):
        for route in slow:
            user.send(route.method, route.path, json=route.good)
    assert user.get(one(user.new_environment(), "logs")).status_code == 200


@pytest.fixture
def held_stats(app: OpenAPI, engine: FakeEngine) -> Iterator[threading.Semaphore]:
    """Statistics that take as long as the test wants; the semaphore counts those that began."""
    begun, go_on = threading.Semaphore(0), threading.Event()

    def stats(*_arguments: Any) -> Any:
        begun.release()
        assert go_on.wait(10)
        return engine.stats("x")

    parts(app).engine.stats = stats  # type: ignore[method-assign, assignment]
    yield begun
    go_on.set()


def test_thirty_clients_on_statistics_leave_threads_to_others(
    app: OpenAPI,
    user: User,
    stranger: User,
    held_stats: threading.Semaphore,
    make_user: Callable[[FlaskClient, str], User],
) -> None:
    id = user.new_environment()
    assert user.post(one(id, "start")).status_code == 200
    answers: list[int] = []

    def ask() -> None:
        client = app.test_client()
        answers.append(client.get(one(id, "stats"), headers=user.headers).status_code)

    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        assert held_stats.acquire(timeout=5)
    for _ in range(200):
        if len(answers) == 27:
            break
        threading.Event().wait(0.05)
    assert answers == [429] * 27
    assert not held_stats.acquire(timeout=0.1)
    assert stranger.get("/api/v1/environments").status_code == 200
