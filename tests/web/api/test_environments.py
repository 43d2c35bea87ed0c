"""Environments over HTTP: records, rules, and a whole life with Docker in memory."""

from collections.abc import Callable
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.support.application import User, parts
from tests.support.checks import assert_problem, moved
from tests.support.fakes import FIRST_FREE_PORT, IMAGE, FakeEngine
from tests.support.routes import WITH_ID

ENVIRONMENTS = "/api/v1/environments"
GOOD: dict[str, Any] = {
    "name": "billing-api",
    "image": IMAGE,
    "env": {"DEBUG": "1"},
    "ports": [
        {"container_port": 8000, "host_port": 18000},
        {"container_port": 53, "protocol": "udp"},
    ],
    "cpu_limit": 0.5,
    "memory_limit_mb": 64,
}
BROKEN: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "Upper"),
    ("name", "-dash"),
    ("name", "dash-"),
    ("name", "a" * 64),
    ("name", "line\n"),
    ("image", ""),
    ("image", "/abs"),
    ("image", "with space"),
    ("image", "a" * 256),
    ("env", {"1A": "x"}),
    ("env", {"A=B": "x"}),
    ("env", {"A": "\x00"}),
    ("env", {"A": 5}),
    ("env", {f"A{n}": "" for n in range(129)}),
    ("ports", [{"container_port": 0}]),
    ("ports", [{"container_port": 65536}]),
    ("ports", [{"container_port": 80, "host_port": 80}]),
    ("ports", [{"container_port": 80, "protocol": "sctp"}]),
    ("ports", [{"container_port": 80}, {"container_port": 80}]),
    (
        "ports",
        [
            {"container_port": 80, "host_port": 8000},
            {"container_port": 81, "host_port": 8000},
        ],
    ),
    ("ports", [{"container_port": 80, "extra": 1}]),
    ("cpu_limit", 0),
    ("cpu_limit", 1e-10),
    ("cpu_limit", 0.0099),
    ("cpu_limit", 257),
    ("memory_limit_mb", 15),
    ("memory_limit_mb", 1.5),
    ("status", "running"),
    ("owner_id", "somebody"),
]
ALLOWED = [
    ("stopped", "start", True),
    ("error", "start", True),
    ("running", "start", False),
    ("paused", "start", False),
    ("starting", "start", False),
    ("stopping", "start", False),
    ("stopped", "stop", False),
    ("paused", "stop", True),
    ("error", "stop", True),
    ("starting", "stop", False),
    ("stopped", "restart", False),
    ("error", "restart", True),
    ("starting", "DELETE", False),
    ("stopping", "DELETE", False),
    ("paused", "DELETE", True),
    ("running", "PATCH", False),
    ("paused", "PATCH", False),
    ("error", "PATCH", True),
    ("stopped", "pause", False),
    ("paused", "pause", False),
    ("running", "unpause", False),
    ("starting", "unpause", False),
]
_SET = "UPDATE environments SET status = :status, held_by = :holder WHERE id = :id"


def one(identity: str, *more: str) -> str:
    return "/".join([ENVIRONMENTS, identity, *more])


def body(response: TestResponse) -> dict[str, Any]:
    assert response.status_code < 300, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()
    return found


def test_new_environment_is_stopped_and_has_no_container(user: User, engine: FakeEngine) -> None:
    response = user.post(ENVIRONMENTS, json=GOOD)

    made = body(response)
    assert response.status_code == 201
    assert response.headers["Location"] == one(made["id"])
    assert (made["status"], made["error"], made["published_ports"]) == ("stopped", None, [])
    assert {name: made[name] for name in GOOD if name != "ports"} == {
        name: value for name, value in GOOD.items() if name != "ports"
    }
    assert made["ports"] == [
        {"container_port": 8000, "host_port": 18000, "protocol": "tcp"},
        {"container_port": 53, "host_port": None, "protocol": "udp"},
    ]
    assert body(user.get(one(made["id"]))) == made
    assert engine.calls == []


def test_limits_have_defaults(make_app: Callable[..., OpenAPI], make_user: Any) -> None:
    app = make_app(default_cpu_limit=3.5, default_memory_limit_mb=99)
    user: User = make_user(app.test_client(), "ada@example.org")

    made = body(user.get(one(user.new_environment())))

    assert (made["cpu_limit"], made["memory_limit_mb"]) == (3.5, 99)


def test_one_broken_field_is_named(user: User, subtests: pytest.Subtests) -> None:
    for field, value in BROKEN:
        with subtests.test(f"{field}: {str(value)[:40]}"):
            response = user.post(ENVIRONMENTS, json={**GOOD, field: value})

            errors = assert_problem(response, 422, "invalid-input")["errors"]
            assert {error["field"].partition(".")[0] for error in errors} == {field}


def test_one_port_may_be_named_for_both_protocols(user: User) -> None:
    ports = [{"container_port": 53, "host_port": 5353, "protocol": p} for p in ("tcp", "udp")]

    assert user.post(ENVIRONMENTS, json={**GOOD, "ports": ports}).status_code == 201


def test_name_is_unique_among_the_owners(user: User, stranger: User) -> None:
    user.new_environment("one")

    again = user.post(ENVIRONMENTS, json={"name": "one", "image": IMAGE})
    assert_problem(again, 409, "environment-name-taken")
    assert stranger.new_environment("one")


def test_environment_of_somebody_else_does_not_exist(
    user: User, stranger: User, engine: FakeEngine, subtests: pytest.Subtests
) -> None:
    identity = user.new_environment()
    for route in WITH_ID:
        if "environment_id" not in route.parameters:
            continue
        with subtests.test(str(route)):
            path = route.path_with("environment_id", identity)
            response = stranger.send(route.method, path, json=route.good)

            assert_problem(response, 404, "environment-not-found")
    assert body(user.get(one(identity)))["status"] == "stopped"
    assert engine.calls == []


def test_list_is_paged_newest_first(user: User, stranger: User) -> None:
    made = [user.new_environment(f"e{number}") for number in range(5)]
    stranger.new_environment("other")

    pages = [body(user.get(f"{ENVIRONMENTS}?limit=2&offset={offset}")) for offset in (0, 2, 4, 6)]

    listed = [[item["id"] for item in page["items"]] for page in pages]
    assert [identity for page in listed for identity in page] == made[::-1]
    assert [len(ids) for ids in listed] == [2, 2, 1, 0]
    assert {(page["total"], page["limit"]) for page in pages} == {(5, 2)}
    assert [page["offset"] for page in pages] == [0, 2, 4, 6]


def test_list_is_filtered_by_status(app: OpenAPI, user: User) -> None:
    running, _ = user.new_environment("up"), user.new_environment("down")
    user.post(one(running, "start"))

    page = body(user.get(f"{ENVIRONMENTS}?status=running"))

    assert ([item["id"] for item in page["items"]], page["total"]) == ([running], 1)
    assert body(user.get(f"{ENVIRONMENTS}?status=error"))["total"] == 0


def test_invalid_query_is_refused(user: User, subtests: pytest.Subtests) -> None:
    for query in ("limit=0", "limit=101", "limit=x", "offset=-1", f"offset={10**11}", "status=no"):
        with subtests.test(query):
            assert_problem(user.get(f"{ENVIRONMENTS}?{query}"), 422, "invalid-input")


def test_whole_life(user: User, engine: FakeEngine) -> None:
    identity = body(user.post(ENVIRONMENTS, json=GOOD))["id"]
    started = body(user.post(one(identity, "start")))
    assert (started["status"], engine.only().status) == ("running", "running")
    assert started["published_ports"] == [
        {"container_port": 8000, "host_port": 18000, "protocol": "tcp"},
        {"container_port": 53, "host_port": FIRST_FREE_PORT + 1, "protocol": "udp"},
    ]
    spec = engine.only().spec
    assert (spec.name, spec.environment_id) == (f"vibebox-{identity}", identity)
    assert (spec.cpu_limit, spec.memory_limit_mb, spec.pids_limit) == (0.5, 64, 512)

    assert body(user.post(one(identity, "restart")))["status"] == "running"
    stopped = body(user.post(one(identity, "stop")))
    assert (stopped["status"], stopped["published_ports"]) == ("stopped", [])
    assert engine.only().status == "exited"

    assert body(user.post(one(identity, "start")))["status"] == "running"
    assert engine.calls.count("create") == 1

    assert user.send("DELETE", one(identity)).status_code == 204
    assert (engine.containers, engine.volumes) == ({}, {})
    assert_problem(user.get(one(identity)), 404, "environment-not-found")


def test_docker_calls_of_a_life_are_counted(user: User) -> None:
    identity = user.new_environment()
    with moved("vibebox_docker_operations_total") as calls:
        for action in ("start", "restart", "stop"):
            user.post(one(identity, action))
        user.send("DELETE", one(identity))

    assert {labels[0]: count for labels, count in calls.items()} == {
        "create": 1, "start": 1, "restart": 1, "stop": 1, "remove": 1, "inspect": 10,
        "exec": 2, "volume": 2,
    }  # fmt: skip
    assert {labels[1] for labels in calls} == {"success"}


def test_status_decides_what_is_allowed(
    app: OpenAPI, user: User, subtests: pytest.Subtests
) -> None:
    for number, (status, action, allowed) in enumerate(ALLOWED):
        with subtests.test(f"{action} while {status}"):
            identity = user.new_environment(f"e{number}")
            with parts(app).database.writing() as session:
                holder = parts(app).heartbeat.ensure(session)
                values = {"status": status, "id": identity, "holder": holder}
                session.execute(text(_SET), values)

            if action.isupper():
                changes = {"env": {"A": "b"}} if action == "PATCH" else None
                response = user.send(action, one(identity), json=changes)
            else:
                response = user.post(one(identity, action))

            if allowed:
                assert response.status_code in (200, 204)
            else:
                detail = assert_problem(response, 409, "environment-conflict")["detail"]
                assert detail.startswith(f"The environment is {status}; this needs it to be ")
                assert body(user.get(one(identity)))["status"] == status
