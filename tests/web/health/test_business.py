"""The business in the scrape and at its route: for operators, all together, or not at all."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from app.domain.accounts.operators import set_operator
from app.domain.business.journey import SUMS
from app.storage import BusinessCohort, Database
from tests.domain.business.support import Clock, leader
from tests.domain.business.test_intake import Log, entry
from tests.support.application import MakeApp, User, parts, sign_up
from tests.support.checks import assert_problem

PATH = "/api/v1/business"
BORN = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
STEPS = ("environment.create", "environment.start", "session.open", "account.login")


def some_people(database: Database) -> None:
    """One more in each way, one more with each step; the last comes back in the second week."""
    log = Log(database)
    who = ""
    for number, way in enumerate(("open", "invitation", "first", "carrier pigeon")):
        for _ in range(number + 1):
            who = log.sign_up(BORN, way)
    log.write(entry(BORN, "account.create", None, "by-command"))
    tmux = {"type": "tmux"}
    for number in range(len(STEPS)):
        name, at = f"step-{number}", BORN + timedelta(seconds=30 if number < 3 else 301)
        log.write(entry(BORN, "account.register", name, name, {"way": "open"}))
        log.write(*(entry(at, step, name, details=tmux) for step in STEPS[: number + 1]))
    log.write(
        entry(BORN + 8 * DAY, "account.login", "step-3"),
        entry(BORN + 20 * DAY, "session.open", who, details={"type": "vscode_server"}),
        entry(BORN + 25 * DAY, "account.login", "step-1"),
        entry(BORN + 29 * DAY, "account.login", "step-0"),
    )


SERIES: dict[str, tuple[str, dict[str, float]]] = {
    "signups": (
        "way",
        {"open": 5, "invitation": 2, "first": 3, "command_line": 1, "unknown": 4},
    ),
    "accounts": (
        "milestone",
        {"environment": 4, "started": 3, "terminal": 2, "vscode": 1, "shell": 3, "second_week": 1},
    ),
    "funnel": (
        "step",
        {"signed_up": 15, "environment": 4, "started": 3, "shell": 2, "second_week": 1},
    ),
    "shell_accounts": (
        "within_seconds",
        {"60": 1, "300": 1, **dict.fromkeys(("900", "3600", "14400", "86400", "604800"), 2)},
    ),
    "active_accounts": ("days", {"1": 1, "7": 2, "30": 14}),
    "second_week_accounts": ("state", {"over": 15, "returned": 1}),
}


@pytest.fixture
def operator(app: OpenAPI, client: FlaskClient) -> User:
    made = sign_up(client, "op@example.org")
    set_operator(parts(app).database, made.email, operator=True)
    return made


def scrape(client: FlaskClient) -> dict[str, float]:
    text = client.get("/health/metrics").get_data(as_text=True)
    lines = (line.rpartition(" ") for line in text.splitlines())
    return {name: float(value) for name, _, value in lines if name.startswith("vibebox_business")}


def test_series_are_what_was_counted(app: OpenAPI, client: FlaskClient) -> None:
    database = parts(app).database
    before = scrape(client)
    some_people(database)
    leader(database, Clock(BORN + 30 * DAY)).run()
    expected = {
        f'vibebox_business_{family}{{{label}="{value}"}}': number
        for family, (label, values) in SERIES.items()
        for value, number in values.items()
    }
    expected["vibebox_business_shell_seconds"] = 30 + 301 + 20 * 86400
    assert scrape(client) == expected
    # Where nobody has signed up each is there, and 0.
    assert before == dict.fromkeys(expected, 0)


def test_operators_are_told(app: OpenAPI, operator: User) -> None:
    database = parts(app).database
    some_people(database)
    leader(database, Clock(BORN + 30 * DAY)).run()
    query = {"since": "2026-01-31", "until": "2026-03-02"}
    told = operator.get(PATH, query_string=query).get_json()
    assert told["sign_ups"] == SERIES["signups"][1]
    assert {step["step"]: step["accounts"] for step in told["funnel"]} == SERIES["funnel"][1]
    shell = told["time_to_shell"]
    assert (shell["accounts"], shell["seconds"]) == (3, 30 + 301 + 20 * 86400)
    within = {str(one["seconds"]): one["accounts"] for one in shell["within"]}
    assert within == SERIES["shell_accounts"][1]
    assert told["second_week"] == {"over": 15, "returned": 1}
    assert [day["finished"] for day in told["days"]] == [True] * 30 + [False]
    day = told["days"][-2]
    assert (day["day"], day["active_1"], day["active_7"]) == ("2026-03-01", 1, 2)
    assert told["read_at"] == "2026-03-02T12:00:00Z"

    table = operator.get(PATH, query_string={**query, "format": "csv"})
    assert table.mimetype == "text/csv"
    rows = list(csv.DictReader(StringIO(table.get_data(as_text=True))))
    assert {row["way"]: int(row["signed_up"]) for row in rows} == SERIES["signups"][1]
    assert [{name: str(one[name]) for name in one} for one in told["cohorts"]] == rows
    none = operator.get(PATH, query_string={"until": "2025-01-01"}).get_json()
    assert (none["cohorts"], none["days"], none["since"]) == ([], [], "2024-12-03")


def test_ways_that_nobody_took_are_left_out(app: OpenAPI, operator: User) -> None:
    with parts(app).database.writing() as session:
        sums = {**dict.fromkeys(SUMS, 0), "signed_up": 2}
        session.add(BusinessCohort(day=BORN.date(), way="open", **sums))
        # What becomes of a cohort whose only account is found to be a synthetic one.
        sums["signed_up"] = 0
        session.add(BusinessCohort(day=BORN.date(), way="command_line", **sums))
    query = {"since": "2026-01-31", "until": "2026-01-31"}
    assert operator.get(PATH, query_string=query).get_json()["sign_ups"] == {"open": 2}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"since": "2126-12-05"}, "Name a day not after `until`, which is today ("),
        (
            {"since": "2026-12-05", "until": "2026-12-04"},
            "Name a day not after `until`, which is 2026-12-04.",
        ),
        (
            {"since": "2020-01-01", "until": "2026-12-04"},
            "Name at most 1100 days; to 2026-12-04 these are 2530.",
        ),
    ],
    ids=["today", "named", "too many"],
)
def test_days_that_cannot_be_are_refused_with_days(
    operator: User, query: dict[str, str], said: str
) -> None:
    problem = assert_problem(operator.get(PATH, query_string=query), 422, "invalid-input")
    assert problem["errors"][0]["field"] == "since"
    assert problem["errors"][0]["message"].startswith(said)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "2026-02-30"}, "since"),
        ({"since": "1767225600"}, "since"),
    ],
    ids=["no day", "a number"],
)
def test_bad_ranges(operator: User, query: dict[str, str], field: str) -> None:
    response = operator.get(PATH, query_string=query)
    assert_problem(response, 422, "invalid-input")
    assert response.get_json()["errors"][0]["field"] == field


def test_earliest_days(operator: User) -> None:
    told = operator.get(PATH, query_string={"until": "0001-01-05"}).get_json()
    assert told["since"] == "0001-01-01"


def test_off_shows_nothing(make_app: MakeApp) -> None:
    app = make_app(business=False)
    client = app.test_client()
    operator = sign_up(client, "op@example.org")
    assert_problem(operator.get(PATH), 403, "permission-denied")
    set_operator(parts(app).database, operator.email, operator=True)
    assert_problem(operator.get(PATH), 409, "business-not-counted")
    text = client.get("/health/metrics").get_data(as_text=True)
    assert not [line for line in text.splitlines() if line.startswith("vibebox_business")]
    assert "# TYPE vibebox_business" not in text
    assert "vibebox_users" in text
