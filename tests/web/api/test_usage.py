"""GET /api/v1/usage: who sees what, how it adds up, CSV, and what it costs."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from sqlalchemy import update

from app.core.setting_values import prices
from app.storage import (
    SYNTHETIC,
    Database,
    Membership,
    Team,
    TeamRole,
    UsagePeriod,
    UsageRow,
    new_id,
)
from app.storage import User as Account
from tests.support.application import MakeApp, User, parts, sign_up
from tests.support.checks import assert_problem

HOUR = 3600 * 1_000_000_000
PATH = "/api/v1/usage"


def book(database: Database, owner: dict[str, Any], **use: Any) -> None:
    """Book an hour of an environment."""
    at = use.pop("at", datetime.now(UTC)).replace(minute=0, second=0, microsecond=0)
    period = use.pop("period", UsagePeriod.HOUR)
    columns = {"environment_id": new_id(), **owner}
    with database.writing() as session:
        session.add(UsageRow(starts_at=at, period=period, **columns, **use))


def team_of(database: Database, user: User, name: str) -> str:
    with database.writing() as session:
        team = Team(name=name)
        session.add(team)
        session.flush()
        session.add(Membership(team_id=team.id, user_id=user.id, role=TeamRole.VIEWER))
        return team.id


@pytest.fixture
def database(app: OpenAPI) -> Database:
    return parts(app).database


def ask(user: User, **query: Any) -> Any:
    response = user.get(PATH, query_string=query)
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()


def test_use_adds_up_by_each(database: Database, user: User) -> None:
    red, blue = team_of(database, user, "red"), team_of(database, user, "blue")
    for number, team in enumerate((red, red, blue)):
        owner = {
            "environment_id": f"e{number}",
            "environment": f"env-{number}",
            "team_id": team,
            "team": "red" if team == red else "blue",
            "account_id": user.id,
            "account": user.email,
        }
        for hours in range(2):
            at = datetime.now(UTC) - timedelta(hours=hours)
            book(database, owner, at=at, cpu_ns=10**9, memory_peak_bytes=number, runs=1)
    by_environment, by_team = ask(user), ask(user, by="team")
    assert {item["name"]: item["cpu_seconds"] for item in by_environment["items"]} == {
        "env-0": 2, "env-1": 2, "env-2": 2,
    }  # fmt: skip
    assert [(item["id"], item["cpu_seconds"], item["runs"]) for item in by_team["items"]] == [
        (red, 4, 4),
        (blue, 2, 2),
    ]
    assert by_environment["sum"] == by_team["sum"]
    assert by_team["sum"]["cpu_seconds"] == 6
    assert by_team["sum"]["memory_peak_bytes"] == 2
    assert [item["name"] for item in ask(user, by="account")["items"]] == [user.email]
    assert ask(user, by="project")["items"][0]["id"] is None
    assert ask(user, team_id=blue)["sum"]["cpu_seconds"] == 2
    periods = ask(user, by="team", team_id=blue, each_period="true")["items"]
    assert [(item["period"], item["cpu_seconds"]) for item in periods] == [("hour", 1)] * 2
    assert periods[0]["starts_at"] < periods[1]["starts_at"]


def test_synthetic_use_is_told_beside_the_sum(database: Database, user: User) -> None:
    mine = {"account_id": user.id}
    book(database, mine, cpu_ns=3 * HOUR, running_ns=HOUR)
    book(database, {**mine, "environment_id": SYNTHETIC}, cpu_ns=HOUR, runs=2)
    for by in ("environment", "account"):
        found = ask(user, by=by)
        assert [item["cpu_seconds"] for item in found["items"]] == [3 * 3600]
        assert (found["sum"]["cpu_seconds"], found["synthetic"]["cpu_seconds"]) == (10800, 3600)
        assert (found["total"], found["synthetic"]["runs"]) == (1, 2)
    other = sign_up(user.client, "eve@example.org")
    assert ask(other)["synthetic"]["cpu_seconds"] == 0


def test_range_is_by_the_beginning_of_each_period(database: Database, user: User) -> None:
    own = {"account_id": user.id}
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    for hours in range(4):
        book(database, own, at=noon + timedelta(hours=hours), cpu_ns=10**9)
    book(database, own, at=noon - timedelta(hours=12), period=UsagePeriod.DAY, cpu_ns=10**10)
    asked = {"since": "2026-01-31T13:00:00Z", "until": "2026-01-31T15:00:00Z"}
    assert ask(user, **asked)["sum"]["cpu_seconds"] == 2
    whole = ask(user, since="2026-01-31T00:00:00Z", until="2026-02-01T00:00:00Z")
    assert whole["sum"]["cpu_seconds"] == 14
    assert ask(user)["total"] == 0  # the last 30 days


def test_sums_hold_more_than_64_bits(database: Database, user: User) -> None:
    for _ in range(4):
        book(database, {"account_id": user.id}, cpu_ns=2**62 + 1, memory_byte_seconds=2**62 + 1)
    found = ask(user, by="account")
    assert found["sum"]["memory_byte_seconds"] == 2**64 + 4
    assert found["items"][0]["memory_byte_seconds"] == 2**64 + 4
    assert found["sum"]["cpu_seconds"] == pytest.approx(2**64 / 1e9)


def test_name_is_the_last_that_it_had(database: Database, user: User) -> None:
    for hours, name in ((2, "zeta"), (1, "alpha"), (0, None)):
        owner = {"environment_id": "e", "environment": name, "account_id": user.id}
        book(database, owner, at=datetime.now(UTC) - timedelta(hours=hours), cpu_ns=1)
    assert [item["name"] for item in ask(user)["items"]] == ["alpha"]
    each = ask(user, each_period="true")["items"]
    assert [item["name"] for item in each] == ["alpha"] * 3


@pytest.mark.parametrize(
    "query",
    [
        {"until": "9999-12-31T23:59:59Z"},
        {"since": "0001-01-01T00:00:00Z", "until": "9999-12-31T00:00:00Z"},
    ],
)
def test_range_of_all_time_is_answered(user: User, query: dict[str, str]) -> None:
    assert ask(user, **query)["total"] == 0


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_range_beyond_all_time_is_refused(user: User, since: str) -> None:
    response = user.get(PATH, query_string={"since": since})
    assert_problem(response, 422, "invalid-input")


def test_pages_have_all(database: Database, user: User) -> None:
    for number in range(5):
        owner = {"environment_id": f"e{number}", "account_id": user.id}
        book(database, owner, cpu_ns=number * 10**9)
    first, second = ask(user, limit=3), ask(user, limit=3, offset=3)
    assert [item["id"] for item in first["items"] + second["items"]] == [
        "e4",
        "e3",
        "e2",
        "e1",
        "e0",
    ]
    assert first["total"] == second["total"] == 5
    assert first["sum"] == second["sum"]


def test_others_see_nothing_and_operators_all(
    database: Database, user: User, stranger: User, client: FlaskClient
) -> None:
    operator = sign_up(client, "op@example.org")
    with database.writing() as session:
        session.execute(
            update(Account).where(Account.email == operator.email).values(is_operator=True)
        )
    team = team_of(database, user, "red")
    book(database, {"team_id": team, "account_id": stranger.id}, cpu_ns=10**9)
    book(database, {"account_id": user.id}, cpu_ns=10**9)
    assert ask(user)["sum"]["cpu_seconds"] == 2
    # Who made an environment of a team, and is in it no more, is no reader of it.
    assert ask(stranger)["total"] == 0
    assert ask(stranger, team_id=team)["total"] == 0
    assert ask(operator)["sum"]["cpu_seconds"] == 2


def test_csv_is_had_by_parameter_and_by_header(database: Database, user: User) -> None:
    book(database, {"account_id": user.id, "account": "=ada@example.org"}, cpu_ns=10**9)
    for named in ({"query_string": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}):
        headers = {**user.headers, **named.pop("headers", {})}
        response = user.client.get(PATH, headers=headers, **named)
        assert response.mimetype == "text/csv"
        (row,) = csv.DictReader(StringIO(response.get_data(as_text=True)))
        assert row["cpu_seconds"] == "1.0"
    asked = user.get(PATH, query_string={"format": "csv", "by": "account"})
    (row,) = csv.DictReader(StringIO(asked.get_data(as_text=True)))
    assert row["name"] == "'=ada@example.org"


def test_cost_is_by_the_table_of_prices(make_app: MakeApp) -> None:
    table = "cpu_hour=0.04, memory_gib_hour=0.005,running_hour=1,network_tx_gib=0.1"
    app = make_app(usage_prices=table, usage_currency="CHF")
    user = sign_up(app.test_client(), "ada@example.org")
    use = {
        "running_ns": 2 * HOUR,
        "cpu_ns": HOUR // 2,
        "memory_byte_seconds": 4 * 2**30 * 3600,
        "network_tx_bytes": 10 * 2**30,
    }
    book(parts(app).database, {"account_id": user.id}, **use)
    found = ask(user)
    assert found["items"][0]["cost"] == found["sum"]["cost"] == 0.02 + 0.02 + 2 + 1
    assert (found["currency"], found["prices"]["cpu_hour"]) == ("CHF", 0.04)


def test_without_prices_nothing_has_a_cost(user: User) -> None:
    assert ask(user)["sum"]["cost"] is None


@pytest.mark.parametrize("until", ["2026-01-31T12:00:00Z", "0001-01-01T00:00:00Z"])
def test_range_that_ends_before_it_begins_is_refused(user: User, until: str) -> None:
    response = user.get(PATH, query_string={"since": "2026-01-31T12:00:00Z", "until": until})
    problem = assert_problem(response, 422, "invalid-input")
    named = f"Name a time before `until`, which is {until.removesuffix('Z')}"
    assert problem["errors"][0]["message"].startswith(named)
    assert user.get(PATH, query_string={"until": "0001-01-02T00:00:00Z"}).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "cpu_hour",
        "cpu_hour=x",
        "cpu_hour=-1",
        "gpu_hour=1",
        "cpu_hour=1,cpu_hour=2",
        "cpu_hour=nan",
    ],
)
def test_table_of_prices_that_cannot_be_right_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        prices(text)
