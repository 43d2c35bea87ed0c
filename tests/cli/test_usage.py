"""`vibebox usage`: a table, CSV and JSON of what was booked."""

import csv
from collections.abc import Callable, Iterator
from io import StringIO

import pytest

from app.storage import (
    DISK_REASONS,
    SYNTHETIC,
    AgentReport,
    Database,
    Report,
    UsagePeriod,
    UsageRow,
    utc_now,
)
from tests.backends.web import WebServer
from tests.cli.support import Person

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]
HOUR = 3600 * 1_000_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    settings = {
        "VIBEBOX_USAGE_PRICES": "cpu_hour=0.5",
        "VIBEBOX_USAGE_CURRENCY": "CHF",
        "VIBEBOX_QUOTA_MEMORY_GIB_HOURS": "0.00001",
    }
    with WebServer(tmp_path_factory.mktemp("usage"), settings) as server:
        yield server


def test_use_is_shown(person: Callable[..., Person], server: WebServer) -> None:
    ada = person()
    ada.login("ada@example.org", "--register")
    account = ada.json("whoami")["id"]
    at = utc_now().replace(minute=0, second=0, microsecond=0)
    database = Database(server.env["DATABASE_URL"])
    with database.writing() as session:
        for number, name in enumerate(("api", "web"), 1):
            session.add(
                UsageRow(
                    environment_id=name,
                    environment=name,
                    account_id=account,
                    starts_at=at,
                    period=UsagePeriod.HOUR,
                    running_ns=HOUR,
                    cpu_ns=number * HOUR // 4,
                    memory_byte_seconds=number * 2**30 * 3600,
                )
            )
    database.dispose()

    lines = [line.split() for line in ada.good("usage").stdout.splitlines()]
    assert lines[0] == [
        "ENVIRONMENT", "RUNNING", "CPU", "MEMORY", "NETWORK", "DISK", "I/O", "STORED", "UNREAD",
        "CHF",
    ]  # fmt: skip
    assert [line[0] for line in lines[1:]] == ["web", "api", "all"]
    assert lines[3] == "all 2.00 h 0.75 h 3.00 GiB h 0 B 0 B 0.00 GiB h 0.00 h 0.38".split()
    assert ada.json("usage")["sum"]["cpu_seconds"] == 0.75 * 3600
    rows = list(csv.DictReader(StringIO(ada.good("usage", "--csv").stdout)))
    assert [(row["name"], row["cost"]) for row in rows] == [("web", "0.25"), ("api", "0.125")]
    assert [item["id"] for item in ada.json("usage", "--by", "account")["items"]] == [account]
    assert ada.json("usage", "--until", "2h")["total"] == 0
    assert "There is no team" in ada.refused(1, "usage", "--team", "nobodys")
    database = Database(server.env["DATABASE_URL"])
    with database.writing() as session:
        row = UsageRow(environment_id=SYNTHETIC, account_id=account, starts_at=at, runs=1)
        row.period, row.running_ns = UsagePeriod.HOUR, HOUR
        session.add(row)
        timeout = float(DISK_REASONS.index("engine-timeout"))
        session.add(AgentReport(name=Report.DISK, value=timeout, at=at))
    database.dispose()
    shown = ada.good("usage")
    assert shown.stdout.splitlines()[4].startswith("(synthetic, besides)  1.00 h")
    assert "disks hold is unread since" in shown.stderr and "(engine-timeout)" in shown.stderr


def test_little_is_not_nothing(person: Callable[..., Person], server: WebServer) -> None:
    eve = person()
    eve.login("eve@example.org", "--register")
    row = UsageRow(environment_id="e", environment="e", account_id=eve.json("whoami")["id"])
    row.period, row.starts_at, row.running_ns = UsagePeriod.HOUR, utc_now(), 10**9
    row.memory_byte_seconds = int(0.000059 * 2**30 * 3600)
    database = Database(server.env["DATABASE_URL"])
    with database.writing() as session:
        session.add(row)
    database.dispose()

    shown = eve.good("usage").stdout.splitlines()[1].split("  ")
    assert [cell.strip() for cell in shown if cell][:4] == [
        "e", "<0.01 h", "0.00 h", "<0.01 GiB h"
    ]  # fmt: skip
    assert eve.good("quota").stdout.splitlines()[-1].split("  ")[-2:] == ["0.000059", "0.00001"]
    refused = eve.refused(1, "create", "more", "--image", "busybox")
    assert "Your quota of memory (GiB hours) is 0.00001: 0.000059 used this month." in refused
    assert "`vibebox quota` shows" in refused
