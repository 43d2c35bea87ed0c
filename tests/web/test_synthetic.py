"""A synthetic account's requests, starts and environments are told apart from those of people."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from app.storage import Database, Environment
from app.web.synthetic import HEADER
from tests.support.application import MakeApp, User, parts
from tests.support.checks import PASSWORD, moved

REQUESTS = "vibebox_http_requests_total"
STARTS = "vibebox_environment_start_duration_seconds_count"
EMAIL = "probe@vibebox.invalid"
SAYS_SO = {HEADER: "true"}
LOGIN = "/api/v1/auth/login"
REGISTER = "/api/v1/auth/register"


@pytest.fixture
def synthetic(app: OpenAPI, client: FlaskClient) -> User:
    parts(app).administration.create(EMAIL, PASSWORD, operator=False, synthetic=True)
    answer = client.post(LOGIN, json={"email": EMAIL, "password": PASSWORD})
    return User(client, EMAIL, answer.get_json())


def test_its_requests_are_counted_under_one_route(client: FlaskClient, synthetic: User) -> None:
    with moved(REQUESTS) as requests, moved(STARTS) as starts:
        client.post(LOGIN, json={"email": EMAIL, "password": PASSWORD})
        environment = synthetic.new_environment("probe-1")
        assert synthetic.post(f"/api/v1/environments/{environment}/start").status_code == 200
        synthetic.get("/api/v1/environments/nothing")
    assert requests == {
        ("POST", "synthetic", "200"): 2,
        ("POST", "synthetic", "201"): 1,
        ("GET", "synthetic", "404"): 1,
    }
    assert starts == {}


def test_its_api_keys_and_tickets_are_its_own(client: FlaskClient, synthetic: User) -> None:
    key = synthetic.make("/api/v1/api-keys", name="k", scopes=["read"])["key"]
    with moved(REQUESTS) as requests:
        client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {key}"})
    assert requests == {("GET", "synthetic", "200"): 1}


def test_who_only_says_so_is_counted_as_everybody(client: FlaskClient, user: User) -> None:
    headers = {**user.headers, **SAYS_SO}
    with moved(REQUESTS) as requests:
        client.get("/api/v1/auth/me", headers=headers)
        client.get("/api/v1/environments/nothing", headers=headers)
        client.get("/health", headers=SAYS_SO)
    assert requests == {
        ("GET", "/api/v1/auth/me", "200"): 1,
        ("GET", "/api/v1/environments/<environment_id>", "404"): 1,
        ("GET", "/health", "200"): 1,
    }


def test_failure_before_anybody_is_recognised_is_told_by_what_it_says(
    make_app: MakeApp, tmp_path: Path
) -> None:
    client = make_app(database_url=f"sqlite:///{tmp_path}/nowhere/vibebox.db").test_client()
    body = {"email": EMAIL, "password": PASSWORD}
    with moved(REQUESTS) as requests:
        client.post(LOGIN, json=body, headers=SAYS_SO)
        client.post(LOGIN, json=body)
    assert requests == {("POST", "synthetic", "503"): 1, ("POST", LOGIN, "503"): 1}


def test_what_it_has_is_no_number_of_people(
    app: OpenAPI, client: FlaskClient, user: User, synthetic: User
) -> None:
    def scrape() -> list[str]:
        text = client.get("/health/metrics").get_data(as_text=True)
        families = ("vibebox_users{", "vibebox_environments{", "vibebox_environments_total{")
        return [line for line in text.splitlines() if line.startswith(families)]

    before = scrape()
    assert 'vibebox_users{state="registered"} 1.0' in before
    made = synthetic.new_environment("probe-1")
    assert scrape() == before
    database: Database = parts(app).database
    with database.reading() as session:
        assert session.get_one(Environment, made).is_synthetic
        assert not session.query(Environment).filter_by(is_synthetic=False).count()


def test_operators_see_which_account_it_is(app: OpenAPI, synthetic: User, user: User) -> None:
    page = parts(app).administration.list(None, limit=10, offset=0)
    assert {one.email: one.is_synthetic for one in page.items} == {EMAIL: True, user.email: False}


def test_nobody_registers_its_address(client: FlaskClient) -> None:
    for address in (EMAIL, EMAIL.upper()):
        answer = client.post(REGISTER, json={"email": address, "password": PASSWORD})
        assert answer.status_code == 409, answer.text
