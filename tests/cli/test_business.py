"""`vibebox business`: a table, CSV and JSON of what was counted, for operators."""

import csv
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest

from app.domain.accounts.operators import set_operator
from app.domain.business.journey import SUMS
from app.storage import BusinessCohort, BusinessCursor, BusinessDay, Database
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
    sums = {**dict.fromkeys(SUMS, 0), "signed_up": 3, "environment": 2}
    sums |= {"shell": 1, "shell_within_60": 1, "shell_us": 30 * 10**6}
    active = {"active_1": 3, "active_7": 4, "active_30": 5, "second_week_over": 0, "returned": 0}
    read_at = datetime(2026, 2, 1, 12, 30, 5, tzinfo=UTC)
    with database.writing() as session:
        session.add(BusinessCohort(day=DAY, way="invitation", **sums))
        session.add(BusinessDay(day=DAY, finished=True, **active))
        session.add(BusinessDay(day=DAY + timedelta(1), finished=False, **active))
        cursor = {"older": 0, "newer": 0, "turned_at": read_at, "complete": True}
        session.add(BusinessCursor(id=1, read_at=read_at, **cursor))
    database.dispose()
    days = ("--since", str(DAY - timedelta(1)), "--until", str(DAY))

    until = ("--until", str(DAY + timedelta(1)))
    lines = ada.good("business", *days, *until).stdout.splitlines()
    assert lines[0] == "2026-01-30 to 2026-02-01 (UTC). By the audit log up to 2026-02-01 12:30:05."
    shown = [re.split(r"  +", line) for line in lines]
    assert ["invitation", "3"] in shown and ["all", "3"] in shown
    assert ["made an environment", "2", "66.7 %", "66.7 %"] in shown
    assert ["1 min", "1", "100.0 %"] in shown
    assert ["2026-01-31", "3", "4", "5"] in shown
    assert ["2026-02-01, so far", "3", "4", "5"] in shown
    assert lines[-1].startswith("0 of these sign-ups have come back 7 to 14 days later; for 3 of")
    assert ada.json("business", *days)["sign_ups"] == {"invitation": 3}
    rows = list(csv.DictReader(StringIO(ada.good("business", "--csv", *days).stdout)))
    assert [(row["day"], row["way"], row["signed_up"]) for row in rows] == [
        ("2026-01-31", "invitation", "3")
    ]
    assert ada.good("business", "--csv").stdout == ""
    assert "2026-02-30" in ada.refused(2, "business", "--since", "2026-02-30")
    late = ada.refused(1, "business", "--since", "2026-02-02", "--until", "2026-02-01")
    assert "--since: Name a day not after `until`, which is 2026-02-01." in late
