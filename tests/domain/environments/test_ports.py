"""Host ports: reserved by record, told by name to who may see it, freed with the record."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import select

from app.storage import Database, PortReservation
from tests.support.application import User
from tests.support.checks import assert_problem
from tests.support.fakes import IMAGE, FakeEngine
from tests.web.api.test_environments import ENVIRONMENTS, body, one


def ports(*host_ports: int | None, protocol: str = "tcp") -> list[dict[str, Any]]:
    return [
        {"container_port": 80 + number, "host_port": port, "protocol": protocol}
        for number, port in enumerate(host_ports)
    ]


def reserved(database: Database) -> set[tuple[int, str]]:
    with database.reading() as session:
        return {(row.host_port, row.protocol) for row in session.scalars(select(PortReservation))}


def create(user: User, name: str, wanted: list[dict[str, Any]]) -> Any:
    return user.post(ENVIRONMENTS, json={"name": name, "image": IMAGE, "ports": wanted})


def test_host_ports_are_reserved_until_the_record_goes(user: User, database: Database) -> None:
    identity = user.new_environment("one", ports=ports(8000, None, 8001))
    assert reserved(database) == {(8000, "tcp"), (8001, "tcp")}

    detail = assert_problem(create(user, "two", ports(9000, 8001)), 409, "port-reserved")["detail"]
    assert "8001/tcp" in detail and "'one'" in detail
    assert reserved(database) == {(8000, "tcp"), (8001, "tcp")}

    assert user.send("DELETE", one(identity)).status_code == 204
    assert create(user, "two", ports(9000, 8001)).status_code == 201


def test_protocols_have_ports_of_their_own(user: User) -> None:
    user.new_environment("one", ports=ports(8000))

    assert create(user, "two", ports(8000, protocol="udp")).status_code == 201


def test_environment_of_a_stranger_is_not_named(user: User, stranger: User) -> None:
    user.new_environment("mine", ports=ports(8000))

    detail = assert_problem(create(stranger, "x", ports(8000)), 409, "port-reserved")["detail"]

    assert "8000/tcp" in detail and "mine" not in detail


def test_change_swaps_the_reservations(user: User, database: Database, engine: FakeEngine) -> None:
    identity = user.new_environment("one", ports=ports(8000, 8001))
    user.new_environment("two", ports=ports(9000))
    user.post(one(identity, "start"))
    user.post(one(identity, "stop"))

    refused = user.send("PATCH", one(identity), json={"ports": ports(8001, 9000)})

    assert_problem(refused, 409, "port-reserved")
    assert len(engine.containers) == 1  # a refusal must not cost the files in it
    shown = body(user.get(one(identity)))
    assert (shown["status"], shown["ports"]) == ("stopped", ports(8000, 8001))
    assert user.send("PATCH", one(identity), json={"ports": ports(8001, 8002)}).status_code == 200
    assert reserved(database) == {(8001, "tcp"), (8002, "tcp"), (9000, "tcp")}
    assert user.send("PATCH", one(identity), json={"ports": []}).status_code == 200
    assert reserved(database) == {(9000, "tcp")}


def test_of_many_at_once_one_gets_the_port(
    app: OpenAPI, user: User, make_user: Callable[..., User], database: Database
) -> None:
    def attempt(number: int) -> int:
        other = User(app.test_client(), user.email, user.tokens)
        return int(create(other, f"e{number}", ports(8000 + number, 9999)).status_code)

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(attempt, range(8)))

    assert answers == [201] + 7 * [409]
    assert len(reserved(database)) == 2


@pytest.mark.parametrize("bad", [80, 65536, "x"])
def test_host_port_has_its_rules(user: User, bad: Any) -> None:
    assert_problem(create(user, "x", ports(bad)), 422, "invalid-input")
