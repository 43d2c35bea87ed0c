"""`vibebox business`: a table, CSV and JSON of what was counted, for operators."""

import csv
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from io import StringIO

import pytest

from app.domain.accounts.operators import set_operator
from app.domain.business.journey import SUMS
from app.storage import BusinessCohort, BusinessDay, Database
from tests.backends.web import WebServer
from tests.cli.support import Person

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]
DAY = date(2026, 1, 31)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with WebServer(tmp_path_factory.mktemp("business")) as server:
        yield server


def test_numbers_are_shown(person: Callable[..., Person], server: WebServer) -> None:
    ada = person()
    ada.login("ada@example.org", "--register")
    assert "Only operators may" in ada.refused(1, "business")
    database = Database(server.env["DATABASE_URL"])
    set_operator(database, "ada@example.org", operator=True)
    sums = {**dict.fromkeys(SUMS, 0), "signed_up": 3, "environment": 2, "shell_within_60": 1}
    active = {"active_1": 3, "active_7": 4, "active_30": 5, "second_week_over": 0, "returned": 0}
    with database.writing() as session:
        session.add(BusinessCohort(day=DAY, way="invitation", **sums))
        session.add(BusinessDay(day=DAY, finished=True, **active))
    database.dispose()
    days = ("--since", str(DAY - timedelta(1)), "--until", str(DAY))

    lines = [line.rsplit(maxsplit=1) for line in ada.good("business", *days).stdout.splitlines()]
    assert lines[0] == ["2026-01-30 to 2026-01-31", "ACCOUNTS"]
    shown = dict(lines[1:])
    assert (shown["sign-ups: invitation"], shown["funnel: environment"]) == ("3", "2")
    assert (shown["shell within 60 s"], shown["active in 7 d to 2026-01-31"]) == ("1", "4")
    assert ada.json("business", *days)["sign_ups"] == {"invitation": 3}
    rows = list(csv.DictReader(StringIO(ada.good("business", "--csv", *days).stdout)))
    assert [(row["day"], row["way"], row["signed_up"]) for row in rows] == [
        ("2026-01-31", "invitation", "3")
    ]
    assert ada.good("business", "--csv").stdout == ""
    assert "2026-02-30" in ada.refused(2, "business", "--since", "2026-02-30")
