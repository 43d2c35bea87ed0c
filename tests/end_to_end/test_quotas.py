"""Quotas, teams and projects hold when everybody comes at once, over four workers."""

from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from tests.backends.docker_engine import DockerEngine
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import Api
from tests.end_to_end.at_once import Request, send, together

pytestmark = pytest.mark.end_to_end
LIMITS = {
    "VIBEBOX_QUOTA_ENVIRONMENTS": "10",
    "VIBEBOX_QUOTA_CPUS": "1",
}


@pytest.fixture
def backend() -> str:
    """The database under test; a test on both of them names them by its parameters."""
    return "postgresql"


@pytest.fixture
def server(
    web_server: WebServerFactory,
    docker_engine: DockerEngine,
    backend: str,
    request: pytest.FixtureRequest,
) -> WebServer:
    env = {**LIMITS, "DOCKER_HOST": docker_engine.host}
    if backend == "postgresql":
        env["DATABASE_URL"] = request.getfixturevalue("postgresql").new_database()
    return web_server(env, workers=4)


@pytest.fixture
def api(server: WebServer, docker_engine: DockerEngine) -> Iterator[Api]:
    with Api(server.url) as api:
        sign_up(api, "ada@example.org")
        yield api
    docker_engine.clear()


def sign_up(api: Api, email: str) -> str:
    """Register and log in; return the id of the account."""
    api.register(email)
    assert api.login(email).ok
    return str(api.call("GET", "/auth/me").json()["id"])


@pytest.mark.parametrize("backend", ["postgresql", "sqlite"])
def test_of_many_creates_and_starts_at_once_the_quota_lets_through_what_it_says(
    server: WebServer, api: Api, docker_engine: DockerEngine
) -> None:
    token = api.tokens["access_token"]
    # Not the personal project, which is made under a lock of its own.
    project = api.call("POST", "/projects", {"name": "contested"}).json()["id"]
    limits = {"cpu_limit": 0.3, "memory_limit_mb": 64}
    body = {"image": docker_engine.busybox, "project_id": project, **limits}
    creates: list[Request] = [
        ("POST", f"{api.url}/environments", {"name": f"e{n}", **body}) for n in range(50)
    ]

    answers = send(creates, token)

    assert Counter(answer.status_code for answer in answers) == {201: 10, 409: 40}
    refusals = [answer.json() for answer in answers if answer.status_code == 409]
    numbers = {"resource": "environments", "limit": 10, "used": 10, "requested": 1, "of": "account"}
    assert all(refusal["quota"] == numbers for refusal in refusals)
    assert api.call("GET", "/quota").json()["used"]["environments"] == 10
    assert server.metric("vibebox_environments", status="stopped") == 10

    made = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    key = api.call("POST", "/api-keys", {"name": "ci", "scopes": ["execute"]}).json()["key"]
    starts = send([("POST", f"{api.url}/environments/{one}/start", None) for one in made], key)

    assert Counter(answer.status_code for answer in starts) == {200: 3, 409: 7}
    quotas = [answer.json()["quota"] for answer in starts if answer.status_code == 409]
    numbers = {"resource": "cpus", "limit": 1, "used": 0.9, "requested": 0.3, "of": "account"}
    assert all(quota == numbers for quota in quotas)
    assert server.metric("vibebox_environments", status="running") == 3
    assert api.call("GET", "/auth/me", token="vbx_ak_unknown").status_code == 401
    attempts = partial(server.metric, "vibebox_auth_attempts_total", method="api_key")
    # What was beyond the account's share at once was asked again.
    assert attempts(status="success") >= 10 and attempts(status="failure") == 1
    assert server.metric("vibebox_users", state="active_24h") == 1


def test_changes_that_exclude_each_other_do(server: WebServer, api: Api) -> None:
    """SQLite has one writer at a time; PostgreSQL needs the locks."""
    with Api(server.url) as other:
        two_admins_leave(api, other)
    project_is_deleted_while_it_is_filled(api)


def two_admins_leave(api: Api, other: Api) -> None:
    """One admin goes, the other steps down: whoever is second must stay."""
    other_id = sign_up(other, "eve@example.org")
    own_id = api.call("GET", "/auth/me").json()["id"]
    for number in range(8):
        team = api.call("POST", "/teams", {"name": f"t{number}"}).json()["id"]
        leave, step_down = (f"/teams/{team}/members/{user}" for user in (own_id, other_id))
        api.call("PUT", step_down, {"role": "admin"})

        answers = together(
            [
                partial(api.call, "DELETE", leave),
                partial(other.call, "PUT", step_down, {"role": "viewer"}),
            ]
        )

        refused = [answer for answer in answers if answer.status_code == 409]
        assert len(refused) == 1, [answer.text for answer in answers]
        assert refused[0].json()["type"] == "urn:vibebox:problem:team-conflict"


def project_is_deleted_while_it_is_filled(api: Api) -> None:
    """Either the project goes, or the environment comes."""
    outcomes: Counter[tuple[int, int]] = Counter()
    for number in range(8):
        project = api.call("POST", "/projects", {"name": f"p{number}"}).json()["id"]
        body = {"name": "one", "image": "busybox:1", "project_id": project, "cpu_limit": 0.1}
        create: Request = ("POST", f"{api.url}/environments", body)
        delete: Request = ("DELETE", f"{api.url}/projects/{project}", None)
        pair = [delete, create] if number % 2 else [create, delete]

        answers = send(pair, api.tokens["access_token"])

        by_method = {method: it.status_code for (method, *_), it in zip(pair, answers, strict=True)}
        outcomes[by_method["POST"], by_method["DELETE"]] += 1
    assert set(outcomes) <= {(201, 409), (404, 204)}, outcomes
    assert api.call("GET", "/environments").json()["total"] == outcomes[201, 409]
