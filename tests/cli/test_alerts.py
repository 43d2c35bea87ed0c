"""`vibebox alerts`: operators silence an alert in a real Alertmanager, and end that."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from app.domain.accounts.operators import set_operator
from app.storage import Database, utc_now
from tests.backends.alertmanager import Alertmanager
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.cli.support import Person
from tests.conftest import require
from tests.domain.alerts.test_service import TOKEN, alert
from tests.domain.alerts.test_silences import QUIET
from tests.support.stand_in import StandIn

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]
NAME = "HighAPILatency"
WHY = "The disk is being replaced"


@pytest.fixture(scope="module")
def manager() -> Iterator[Alertmanager]:
    require("Alertmanager", Alertmanager.installed())
    with closing(Alertmanager(QUIET)) as manager:
        yield manager


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, manager: Alertmanager) -> Iterator[WebServer]:
    settings = {"VIBEBOX_ALERTS_TOKEN": TOKEN, "VIBEBOX_ALERTMANAGER_URL": manager.url}
    with WebServer(tmp_path_factory.mktemp("alerts"), settings) as server:
        yield server


def tell(server: WebServer, **changes: Any) -> None:
    """Notify the service of an alert, as Alertmanager does."""
    answer = requests.post(
        f"{server.url}/api/v1/alerts",
        json={"version": "4", "alerts": [alert(**changes)]},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text


def operator(person: Callable[..., Person], server: WebServer, name: str) -> Person:
    """Return somebody who has just become an operator."""
    somebody = person(name)
    somebody.login(f"{name}@example.org", "--register")
    refused = somebody.refused(1, "alerts", "silences")
    assert "Only operators may" in refused and "`vibebox operators grant EMAIL`" in refused
    database = Database(server.env["DATABASE_URL"])
    set_operator(database, f"{name}@example.org", operator=True)
    database.dispose()
    return somebody


def shown(somebody: Person) -> list[str]:
    """Return what stands in the row of the one alert that fires."""
    (row,) = somebody.good("alerts", "ls").stdout.splitlines()[1:]
    return row.split()


def state(manager: Alertmanager) -> str:
    (held,) = manager.alerts()
    return str(held["status"]["state"])


def test_alert_is_silenced_and_told_again(
    person: Callable[..., Person], server: WebServer, manager: Alertmanager
) -> None:
    ada = operator(person, server, "ada")
    silence = ("alerts", "silence", NAME, "--comment", WHY)
    assert "`vibebox alerts ls --ended` lists" in ada.refused(1, *silence)
    tell(server)
    manager.post({"alertname": NAME, "severity": "warning"})
    assert shown(ada)[:3] == [NAME, "warning", "firing"]
    assert [one["name"] for one in ada.json("alerts", "ls")["items"]] == [NAME]
    # One that has ended and fires anew is two.
    tell(server, status="resolved", startsAt="2026-01-01T00:00:00Z", endsAt=utc_now().isoformat())
    ended = ada.json("alerts", "ls", "--ended")["items"]
    assert [one["status"] for one in ended] == ["firing", "resolved"]

    made = ada.good(*silence, "--for", "3h")
    assert f"{NAME} is silenced until 20" in made.stderr and f"alertname={NAME}" in made.stderr
    assert shown(ada)[2:4] == ["silenced", "until"]
    again = ada.refused(1, *silence)
    assert "silenced the same alerts" in again and "`vibebox alerts expire ID`" in again
    wait_until(lambda: state(manager) == "suppressed", 10, 0.05)
    (row,) = ada.good("alerts", "silences").stdout.splitlines()[1:]
    words = row.split()
    assert words[:4] == [made.stdout.strip(), "active", "in", "3h"]
    assert row.endswith(f"ada@example.org  {WHY}  alertname={NAME}")
    (listed,) = ada.json("alerts", "silences")["items"]
    assert (listed["id"], listed["comment"]) == (words[0], WHY)
    ada.good("alerts", "expire", words[0][:8])
    wait_until(lambda: state(manager) == "active", 10, 0.05)
    assert "`vibebox alerts silences` lists" in ada.refused(1, "alerts", "expire", words[0])
    assert len(ada.good("alerts", "silences").stdout.splitlines()) == 1
    again = ada.json(*silence)
    assert again["created_by"] == "ada@example.org"
    ada.good("alerts", "expire", again["id"])


def test_what_is_typed_wrongly_is_told(person: Callable[..., Person], server: WebServer) -> None:
    grace = operator(person, server, "grace")
    assert "Missing option '--comment'" in grace.refused(2, "alerts", "silence", NAME)
    silence = ("alerts", "silence", NAME, "--comment", WHY, "--for")
    assert "no span of time" in grace.refused(2, *silence, "long")
    assert "59s is too short: enter 1m at least" in grace.refused(2, *silence, "59s")
    assert "31d is too long: enter 30d at most" in grace.refused(2, *silence, "31d")
    for wrong in ("none", ""):
        refused = grace.refused(1, "alerts", "expire", wrong)
        assert "no one silence" in refused and "`vibebox alerts silences`" in refused


def test_what_prometheus_says_has_no_end(tmp_path: Path) -> None:
    page = {"items": [], "total": 0, "limit": 100, "offset": 0}
    listed = {**page, "source": "prometheus", "missing": None}
    with closing(StandIn({"/api/v1/alerts": lambda _: listed})) as service:
        ada = Person(tmp_path, service.url, VIBEBOX_TOKEN="vbx_key")
        assert "which alerts have ended" in ada.good("alerts", "ls", "--ended").stderr
        assert ada.good("alerts", "ls").stderr == ""
