"""Host ports that environments may have: never those of VibeBox and of what its settings name."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from flask_openapi3 import OpenAPI
from sqlalchemy import update

from app.cli.main import main
from app.core.errors import InvalidInputError
from app.core.settings import Settings
from app.domain.environments.host_ports import HostPorts, host_ports
from app.engine import PortBinding
from app.storage import Database, Environment, EnvironmentStatus, PortReservation
from tests.support.application import User
from tests.support.checks import PASSWORD, assert_problem
from tests.support.fakes import FIRST_FREE_PORT, IMAGE, FakeEngine
from tests.web.api.test_environments import ENVIRONMENTS, one

# As the settings of tests have it by default.
OWN = 3000


def ports(host_port: int | None, protocol: str = "tcp") -> list[dict[str, Any]]:
    return [{"container_port": 80, "host_port": host_port, "protocol": protocol}]


def create(user: User, host_port: int | None, protocol: str = "tcp") -> Any:
    wanted = {"name": "web", "image": IMAGE, "ports": ports(host_port, protocol)}
    return user.post(ENVIRONMENTS, json=wanted)


def reserve(database: Database, environment: str, port: int) -> None:
    """Give an environment a host port as an earlier release would have."""
    with database.writing() as session:
        session.add(PortReservation(host_port=port, protocol="tcp", environment_id=environment))
        session.execute(
            update(Environment).where(Environment.id == environment).values(ports=ports(port))
        )


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("port", [OWN, 3001, 9090, 9093])
def test_port_of_ours_is_refused_at_the_field(user: User, port: int, protocol: str) -> None:
    problem = assert_problem(create(user, port, protocol), 422, "invalid-input")

    (error,) = problem["errors"]
    assert error["field"] == "ports.0.host_port"
    assert str(port) in error["message"] and "choose another" in error["message"]


@pytest.mark.parametrize("port", [1024, 3002, 5432, 8080, 65535])
def test_every_other_port_may_be_had(user: User, port: int) -> None:
    assert create(user, port).status_code == 201


@pytest.mark.parametrize("port", [0, 1, 80, 443, 1023, 65536])
def test_privileged_ports_may_not(user: User, port: int) -> None:
    assert_problem(create(user, port), 422, "invalid-input")


@pytest.mark.parametrize(
    ("settings", "port", "whose"),
    [
        ({"port": 4321}, 4321, "VibeBox's own"),
        ({"gunicorn_cmd_args": "--bind 0.0.0.0:4321"}, 4321, "VibeBox's own"),
        ({"gunicorn_cmd_args": "-b :4321 --workers 3"}, 4321, "VibeBox's own"),
        ({"gunicorn_cmd_args": "--bind=[::]:4321"}, 4321, "VibeBox's own"),
        ({"gunicorn_cmd_args": "-b4321"}, 4321, "VibeBox's own"),
        ({"gunicorn_cmd_args": "--bin=127.0.0.1:4321"}, 4321, "VibeBox's own"),
        ({"gunicorn_cmd_args": "--preload --bi [::1]:4321"}, 4321, "VibeBox's own"),
        ({"gunicorn_cmd_args": "-b :1 -b tcp://127.0.0.1:4321"}, 4321, "VibeBox's own"),
        ({"gunicorn_cmd_args": "--bind 127.0.0.1"}, 8000, "VibeBox's own"),
        ({"database_url": "postgresql://ada@db/x"}, 5432, "the database's (DATABASE_URL)"),
        ({"database_url": "postgresql://ada@db:6543/x"}, 6543, "the database's (DATABASE_URL)"),
        ({"docker_host": "tcp://engine:2375"}, 2375, "Docker's (DOCKER_HOST)"),
        ({"prometheus_url": "http://p:9999"}, 9999, "Prometheus' (VIBEBOX_PROMETHEUS_URL)"),
        ({"rate_limit_storage": "redis://r"}, 6379, "Redis' (VIBEBOX_RATE_LIMIT_STORAGE)"),
        ({"rate_limit_storage": "redis://r:7000/1"}, 7000, "Redis' (VIBEBOX_RATE_LIMIT_STORAGE)"),
        ({"reserved_ports": "8443"}, 8443, "reserved by the operator (VIBEBOX_RESERVED_PORTS)"),
    ],
    ids=str,
)
def test_settings_say_which_are_ours(settings: dict[str, Any], port: int, whose: str) -> None:
    assert host_ports(Settings(**settings)).refusal(port) == f"is {whose}"


@pytest.mark.parametrize(
    "arguments",
    [
        "--bind 'unix:/run/x --bind",
        "--bind",
        "--b 127.0.0.1:1",  # of several options
        "--workers many",
        "--help",
        "--version",
        "--bind :port -b fd://x -b [::1 -b unix:/run/x -b fd://3 --bind= --unknown",
        f"-b {'9' * 5000}",
    ],
)
def test_unreadable_arguments_of_gunicorn_are_its_business(
    arguments: str, capfd: pytest.CaptureFixture[str]
) -> None:
    found = host_ports(Settings(gunicorn_cmd_args=arguments))
    assert found.refusal(OWN) == "is VibeBox's own"
    assert capfd.readouterr() == ("", "")


def test_narrower_range_is_told(make_app: Callable[..., OpenAPI]) -> None:
    app = make_app(host_ports="20000-20999,30000")
    client = app.test_client()
    account = {"email": "ada@example.org", "password": PASSWORD}
    client.post("/api/v1/auth/register", json=account)
    user = User(client, account["email"])
    user.tokens = client.post("/api/v1/auth/login", json=account).get_json()

    (error,) = assert_problem(create(user, 8080), 422, "invalid-input")["errors"]
    assert "20000-20999,30000 (VIBEBOX_HOST_PORTS)" in error["message"]
    assert create(user, 20500).status_code == 201


def test_change_to_a_port_of_ours_is_refused(user: User) -> None:
    environment = user.new_environment("web", ports=ports(8080))
    change = user.send("PATCH", one(environment), json={"ports": ports(OWN)})

    assert_problem(change, 422, "invalid-input")
    assert user.get(one(environment)).json["ports"] == ports(8080)  # type: ignore[index]


def test_reservation_from_before_goes_on_outside_of_the_range() -> None:
    narrow = HostPorts(((20000, 20999),), {OWN: "VibeBox's own"})
    narrow.refuse(ports(8080), before=ports(8080))
    with pytest.raises(InvalidInputError):
        narrow.refuse(ports(8080), before=ports(8081))
    with pytest.raises(InvalidInputError):
        narrow.refuse(ports(OWN), before=ports(OWN))


@pytest.mark.parametrize("action", ["start", "restart"])
def test_reservation_of_ours_from_before_is_not_started(
    user: User, database: Database, engine: FakeEngine, action: str
) -> None:
    environment = user.new_environment("web")
    reserve(database, environment, 9090)
    if action == "restart":
        with database.writing() as session:
            session.execute(update(Environment).values(status=EnvironmentStatus.ERROR))

    refused = user.post(f"{one(environment)}/{action}")

    detail = assert_problem(refused, 409, "port-reserved")["detail"]
    assert "9090" in detail and "VIBEBOX_RESERVED_PORTS" in detail
    assert "create" not in engine.calls and "start" not in engine.calls
    changed = user.send("PATCH", one(environment), json={"ports": ports(None)})
    assert changed.status_code == 200
    assert user.post(f"{one(environment)}/start").status_code == 200


def test_what_docker_picked_is_looked_at_and_picked_again(user: User, engine: FakeEngine) -> None:
    environment = user.new_environment("web", ports=ports(None))
    engine.picks = [OWN, 9090]

    started = user.post(f"{one(environment)}/start").json

    assert started is not None
    assert started["status"] == "running"
    assert started["published_ports"][0]["host_port"] == FIRST_FREE_PORT
    assert engine.calls.count("restart") == 2


def test_container_that_only_finds_ports_of_ours_does_not_run(
    user: User, engine: FakeEngine
) -> None:
    environment = user.new_environment("web", ports=ports(None))
    engine.picks = [OWN] * 10

    detail = assert_problem(user.post(f"{one(environment)}/start"), 409, "port-taken")["detail"]

    assert f"host port {OWN}, which is VibeBox's own" in detail
    shown = user.get(one(environment)).json
    assert shown is not None
    assert (shown["status"], shown["published_ports"]) == ("error", [])
    assert {container.status for container in engine.containers.values()} == {"exited"}


def test_port_that_was_chosen_is_not_taken_for_a_pick() -> None:
    narrow = HostPorts(((20000, 20999),))
    published = [PortBinding(80, 8080)]
    assert narrow.wrongly_picked(ports(8080), published) is None
    assert narrow.wrongly_picked(ports(None), published) is not None


@pytest.mark.parametrize(
    ("ranges", "ours", "picked"),
    [
        (((1024, 65535),), {OWN: ""}, None),
        (((20000, 20999), (30000, 30099)), {}, (20000, 20999)),
        (((20000, 20999),), {20100: "", 20101: ""}, (20102, 20999)),
        (((20000, 20000),), {20000: ""}, None),
    ],
    ids=["everything", "largest", "beside ours", "nothing left"],
)
def test_docker_is_told_from_where_to_pick(
    ranges: tuple[tuple[int, int], ...], ours: dict[int, str], picked: tuple[int, int] | None
) -> None:
    assert HostPorts(ranges, ours).picked_from == picked


def test_migration_lists_whose_port_is_ours_now(
    user: User, database: Database, database_url: str
) -> None:
    reserve(database, user.new_environment("prom"), 9090)
    user.new_environment("web", ports=ports(8080))

    result = CliRunner().invoke(main, ["migrate"], env={"DATABASE_URL": database_url})

    assert result.exit_code == 0
    assert "prom (" in result.stderr and "9090/tcp is reserved by the operator" in result.stderr
    assert "web" not in result.stderr
