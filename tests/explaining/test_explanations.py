"""Each reader sees what they may read already; what cannot be had is said, within the deadline."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from flask_openapi3 import OpenAPI

from app.domain.accounts.operators import set_operator
from app.storage import ContainerExit, ExitReason, LogEntry, LogStream, utc_now
from app.stores.http import MOST_BYTES
from tests.backends.programs import free_port
from tests.explaining.world import EXPRESSION, JOB, NAME, OOM, ROUTE, TRACE, World
from tests.support.application import User, parts
from tests.support.checks import assert_problem
from tests.support.stand_in import StandIn

HIDDEN = "hidden: ask an operator"


@pytest.fixture
def world() -> Iterator[World]:
    with closing(StandIn()) as peer:
        yield World(peer)


@pytest.fixture
def whole(world: World, make_app: Callable[..., OpenAPI]) -> OpenAPI:
    """The application with all stores."""
    url = world.peer.url
    return make_app(prometheus_url=url, trace_store_url=url, log_store_url=url)


@pytest.fixture
def operator(whole: OpenAPI, make_user: Callable[..., User]) -> User:
    user = make_user(whole.test_client(), "operator@example.org")
    set_operator(parts(whole).database, user.email, operator=True)
    return user


@pytest.fixture
def owner(whole: OpenAPI, world: World, make_user: Callable[..., User]) -> User:
    """Who has the environment that the failed request was about."""
    user = make_user(whole.test_client(), "owner@example.org")
    world.environment = user.new_environment("mine")
    _writes(whole, world.environment)
    return user


def _writes(app: OpenAPI, environment: str) -> None:
    now = int(time.time() * 1e9)
    with parts(app).database.writing() as session:
        session.add(
            LogEntry(
                environment_id=environment,
                stream=LogStream.STDERR,
                at_ns=now,
                line="out of luck",
                size=11,
            )
        )


def explained(user: User, reference: str = NAME) -> dict[str, Any]:
    response = user.get(f"/api/v1/alerts/{reference}/explanation")
    assert response.status_code == 200, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()
    return found


def test_operator_sees_the_way_from_the_alert_to_the_call_that_failed(
    operator: User, owner: User, world: World
) -> None:
    found = explained(operator)

    assert found["culprit"] == {"kind": "docker_operation", "id": "start"}
    assert [step["culprit"]["id"] for step in found["steps"]] == [ROUTE, "start"]
    assert found["alert"]["summary"] == "It fails"
    assert found["alert"]["runbook_url"] is None  # javascript: is no link
    assert found["expression"] == EXPRESSION
    assert found["series"]["items"] == [{"labels": JOB, "value": 12}]
    assert found["exemplars"]["items"][0]["labels"] == {"trace_id": TRACE}
    (trace,) = found["traces"]["items"]
    assert (trace["request_id"], trace["seconds"]) == ("of-a-client", 2)
    assert trace["slowest"]["name"] == f"POST {ROUTE}"
    assert trace["failed"]["error"] == "EngineUnreachableError"
    assert found["lines"]["items"][0]["fields"]["problem"] == "engine-unreachable"
    # Of somebody else's environment an operator sees what the service's own lines say: its id.
    (environment,) = found["environments"]["items"]
    assert environment["missing"] == "hidden: ask whoever may read that environment"
    assert (environment["id"], environment["name"]) == (world.environment, None)
    assert environment["log"] == []


def test_owner_sees_their_environment_and_no_signal_of_the_service(
    owner: User, world: World
) -> None:
    found = explained(owner)

    (environment,) = found["environments"]["items"]
    assert (environment["id"], environment["name"]) == (world.environment, "mine")
    assert [line["line"] for line in environment["log"]] == ["out of luck"]
    assert (found["culprit"], found["culprit_missing"], found["steps"]) == (None, HIDDEN, [])
    for part in ("series", "exemplars", "traces", "lines"):
        assert found[part] == {"items": [], "missing": HIDDEN}


def test_a_trace_that_is_too_large_hides_no_other(
    operator: User, owner: User, world: World
) -> None:
    path, large = f"/api/traces/{TRACE}", "f" * 32
    world.peer.answers[f"/api/traces/{large}"] = lambda _: b" " * (MOST_BYTES + 1)
    world.also_named = (large,)
    (trace,) = explained(operator)["traces"]["items"]
    assert trace["trace_id"] == TRACE

    world.also_named = ()
    world.peer.answers[path] = world.peer.answers[f"/api/traces/{large}"]
    found = explained(operator)["traces"]
    assert (found["items"], "more than is read" in found["missing"]) == ([], True)
    assert "/api/traces" in [path for path, _ in world.peer.asked]


def test_stranger_sees_nothing_of_it(owner: User, stranger_of: User, world: World) -> None:
    found = explained(stranger_of)

    assert found["environments"]["items"] == []
    assert world.environment not in str(found) and TRACE not in str(found)
    assert "start" not in str({**found, "expression": "", "alert": ""})


@pytest.fixture
def stranger_of(whole: OpenAPI, make_user: Callable[..., User]) -> User:
    return make_user(whole.test_client(), "somebody@example.org")


def test_what_is_down_explains_the_call(operator: User, world: World) -> None:
    world.down = ["docker"]

    assert explained(operator)["culprit"] == {"kind": "dependency", "id": "docker"}


def test_label_of_the_alert_is_seen_by_all(operator: User, stranger_of: User) -> None:
    for user in (operator, stranger_of):
        assert explained(user, "Failing")["culprit"] == {"kind": "task", "id": "sweep"}


def test_environment_is_named_to_those_who_may_read_it(
    whole: OpenAPI, operator: User, owner: User, stranger_of: User, world: World
) -> None:
    with parts(whole).database.writing() as session:
        for number in range(3):
            session.add(
                ContainerExit(
                    container_id="c",
                    run_started=str(number),
                    environment_id=world.environment if number else "another",
                    reason=ExitReason.OOM,
                    exit_code=137,
                    exited_at=utc_now(),
                )
            )
    named = {"kind": "environment", "id": world.environment}

    assert explained(operator, OOM)["culprit"] == named
    assert explained(owner, OOM)["culprit"] == named
    assert explained(stranger_of, OOM)["culprit"] is None


def test_no_culprit_without_a_fault(operator: User, world: World) -> None:
    assert explained(operator, "Quiet")["culprit_missing"] == "it does not fire now"
    odd = explained(operator, "Odd")
    assert odd["culprit"] is None and "nothing is known" in odd["culprit_missing"]
    world.holds = False
    over = explained(operator)
    assert (over["culprit"], over["culprit_missing"]) == (None, "its condition does not hold now")


@pytest.mark.parametrize(
    "change",
    [
        {"duration": 1e999},
        {"startTime": -1e30},
        {"references": 5},
        {"operationName": "a\ud800"},
        {"tags": [{"key": "error"}]},
    ],
)
def test_whatever_a_store_answers_is_no_error_of_ours(
    operator: User, world: World, change: dict[str, Any]
) -> None:
    trace = world.trace()
    trace["spans"][0] |= change
    world.peer.answers[f"/api/traces/{TRACE}"] = lambda _: {"data": [trace]}

    found = explained(operator)

    assert found["culprit"] and "Infinity" not in str(found)


def test_unknown_alert(operator: User) -> None:
    response = operator.get("/api/v1/alerts/NoSuchAlert/explanation")

    assert_problem(response, 404, "alert-not-found")
    near = assert_problem(operator.get("/api/v1/alerts/Quite/explanation"), 404, "alert-not-found")
    assert "Did you mean Quiet?" in near["detail"]


def test_unknown_alert_without_prometheus(user: User) -> None:
    problem = assert_problem(user.get("/api/v1/alerts/X/explanation"), 404, "alert-not-found")

    assert problem["detail"] == (
        "Alertmanager has told of no such alert, and VIBEBOX_PROMETHEUS_URL is not set."
    )


def test_what_is_not_set_is_said(
    world: World, make_app: Callable[..., OpenAPI], make_user: Callable[..., User]
) -> None:
    app = make_app(prometheus_url=world.peer.url)
    user = make_user(app.test_client(), "operator@example.org")
    set_operator(parts(app).database, user.email, operator=True)

    found = explained(user)

    assert found["culprit"] == {"kind": "route", "id": ROUTE}
    assert found["traces"]["missing"] == "VIBEBOX_TRACE_STORE_URL is not set"
    assert found["lines"]["missing"] == "VIBEBOX_LOG_STORE_URL is not set"


def test_stores_that_are_away_or_hang_are_said_within_the_deadline(
    world: World,
    make_app: Callable[..., OpenAPI],
    make_user: Callable[..., User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.explaining.service.SECONDS", 2.0)
    with closing(StandIn({f"/api/traces/{TRACE}": lambda _: b"x" * 9999})) as hung:
        hung.drips = True
        away = f"http://127.0.0.1:{free_port()}"
        app = make_app(prometheus_url=world.peer.url, trace_store_url=hung.url, log_store_url=away)
        user = make_user(app.test_client(), "operator@example.org")
        set_operator(parts(app).database, user.email, operator=True)
        began = time.monotonic()

        found = explained(user)

    assert time.monotonic() - began < 5
    assert found["culprit"] == {"kind": "route", "id": ROUTE}
    said = "The store of traces (VIBEBOX_TRACE_STORE_URL) did not answer in time."
    assert found["traces"]["missing"] == said
    assert "VIBEBOX_LOG_STORE_URL" in found["lines"]["missing"]


def test_lines_of_a_request(operator: User, owner: User, whole: OpenAPI) -> None:
    path = "/api/v1/requests/of-a-client/lines"
    (line,) = operator.get(path).get_json()["items"]

    assert (line["event"], line["fields"]["problem"]) == ("request", "engine-unreachable")
    assert_problem(owner.get(path), 403, "permission-denied")
    for id in ('x"} or {', "a b", "x" * 129, "é"):
        assert_problem(operator.get(f"/api/v1/requests/{id}/lines"), 422, "invalid-input")


def test_lines_need_a_store(make_app: Callable[..., OpenAPI], make_user: Any) -> None:
    app = make_app()
    user = make_user(app.test_client(), "operator@example.org")
    set_operator(parts(app).database, user.email, operator=True)

    problem = assert_problem(user.get("/api/v1/requests/x/lines"), 409, "store-not-set")
    assert problem["setting"] == "VIBEBOX_LOG_STORE_URL"
