"""The API, the console and silences know of the same alerts, whoever says which fire."""

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import AlertNotFoundError
from app.domain.accounts.operators import set_operator
from app.domain.alerts.known import fingerprint
from app.domain.alerts.sources import AlertSources
from app.stores.prometheus import Firing, Rule
from app.stores.shared import SECONDS
from tests.backends.alertmanager import Alertmanager
from tests.backends.programs import free_port, wait_until
from tests.backends.prometheus import Prometheus
from tests.conftest import require
from tests.domain.alerts.test_service import TOKEN, Told, alert
from tests.domain.alerts.test_silences import ASKED, PATH, QUIET
from tests.support.application import MakeApp, User, parts, sign_up
from tests.support.checks import assert_problem

JOB = "vibebox-backend"


def operator(make_app: MakeApp, **settings: Any) -> User:
    app = make_app(**settings)
    user = sign_up(app.test_client(), "ada@example.org")
    set_operator(parts(app).database, user.email, operator=True)
    return user


def told(user: User, query: str = "") -> dict[str, Any]:
    answer = user.get(f"/api/v1/alerts{query}")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    found: dict[str, Any] = answer.get_json()
    return found


def shown(user: User) -> dict[str, Any]:
    answer = user.get("/console/telemetry")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


def refused(user: User, name: str) -> str:
    answer = user.send("POST", PATH, json={**ASKED, "alert_id": name})
    return str(assert_problem(answer, 404, "alert-not-found")["detail"])


def test_where_nobody_says_what_fires_that_is_told(make_app: MakeApp) -> None:
    ada = operator(make_app)
    found, page = told(ada), shown(ada)
    assert (found["items"], found["total"], found["source"]) == ([], 0, None)
    assert "VIBEBOX_ALERTS_TOKEN" in found["missing"]
    assert "VIBEBOX_PROMETHEUS_URL" in found["missing"]
    assert (page["alerts"], page["alerts_reason"]) == ([], found["missing"])
    assert (page["silences"], page["silences_reason"]) == (None, None)


def test_what_alertmanager_told_stands_for_what_prometheus_says(make_app: MakeApp) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    ada = operator(make_app, alerts_token=TOKEN, prometheus_url=away)
    Told(ada, ada.client.application)(alert())  # type: ignore[arg-type]
    found = told(ada)
    assert (found["source"], found["missing"]) == ("alertmanager", None)
    assert [one["name"] for one in shown(ada)["alerts"]] == ["HighAPILatency"]
    assert "Prometheus (VIBEBOX_PROMETHEUS_URL)" in shown(ada)["reason"]


def test_unknown_name_leads_on(make_app: MakeApp) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    ada = operator(make_app, alerts_token=TOKEN, alertmanager_url=away)
    Told(ada, ada.client.application)(alert())  # type: ignore[arg-type]
    assert "Did you mean HighAPILatency?" in refused(ada, "HighApiLatency")
    assert "set VIBEBOX_PROMETHEUS_URL" in refused(ada, "NotReady")
    assert "heartbeat of alerting" in refused(ada, "Watchdog")


def test_alertmanager_that_is_away_hides_no_alert(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    ada = operator(make_app, alerts_token=TOKEN, alertmanager_url=away)
    Told(ada, ada.client.application)(alert())  # type: ignore[arg-type]
    (one,) = told(ada)["items"]
    page = shown(ada)
    assert one["silence"] is None
    assert [it["name"] for it in page["alerts"]] == ["HighAPILatency"]
    assert page["silences_reason"].startswith("Alertmanager (VIBEBOX_ALERTMANAGER_URL)")
    assert not caplog.records


def test_prometheus_that_is_away_is_told_in_one_line(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    ada = operator(make_app, prometheus_url=f"http://127.0.0.1:{free_port()}")
    assert_problem(ada.get("/api/v1/alerts"), 502, "store-unavailable")
    assert shown(ada)["alerts_reason"].startswith("Prometheus (VIBEBOX_PROMETHEUS_URL)")
    (line,) = [it for it in caplog.records if it.name == "app.web.problems"]
    assert (line.levelno, line.exc_info) == (logging.WARNING, None)
    assert "does not answer" in line.why  # type: ignore[attr-defined]


class Rules:
    """A Prometheus that has these rules."""

    def __init__(self, *rules: Rule) -> None:
        self._rules = [*rules]

    def rules(self) -> list[Rule]:
        return self._rules

    def firing(self) -> list[Firing]:
        return [one for rule in self._rules for one in rule.firing]


def silenced(reference: str, *rules: Rule) -> dict[str, str]:
    """Return the labels of what is silenced by this name or fingerprint."""
    sources = AlertSources(None, Rules(*rules), receives=False)  # type: ignore[arg-type]
    return dict(sources.find(reference).shared_labels(reference))


def test_rule_on_all_that_is_scraped_silences_what_is_ours() -> None:
    def down(job: str, value: float) -> Firing:
        labels = {"alertname": "InstanceDown", "job": job}
        return Firing(labels, {}, datetime(2026, 1, 31, tzinfo=UTC), value)

    ours, theirs = down(JOB, 0), down("shop", 1)
    rule = Rule("InstanceDown", "up == 0", True, (theirs, ours))
    for reference in ("InstanceDown", fingerprint(ours.labels)):
        assert silenced(reference, rule) == ours.labels
    with pytest.raises(AlertNotFoundError):
        silenced(fingerprint(theirs.labels), rule)
    with pytest.raises(AlertNotFoundError):
        silenced("InstanceDown", Rule("InstanceDown", "up == 0", True, (theirs,)))


def test_alert_that_another_service_calls_the_same_is_not_silenced() -> None:
    ours = Rule("NotReady", f'vibebox_ready{{job="{JOB}"}} == 0', True)
    theirs = Rule("NotReady", "shop_ready == 0", True)
    assert silenced("NotReady", theirs, ours) == {"alertname": "NotReady", "job": JOB}
    assert silenced("NotReady", ours) == {"alertname": "NotReady"}


@pytest.fixture
def hanging() -> Iterator[str]:
    """The address of a store that takes questions and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_stores_that_hang_are_waited_for_together(make_app: MakeApp, hanging: str) -> None:
    ada = operator(make_app, prometheus_url=hanging, alertmanager_url=hanging)
    began = time.monotonic()
    page = shown(ada)
    assert time.monotonic() - began < 1.5 * SECONDS
    assert all("in time" in page[name] for name in ("reason", "alerts_reason", "silences_reason"))


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """Of ours one that fires, the heartbeat, and one that does not; and that of somebody else."""
    written = [
        {"alert": "AgentRestarting", "expr": "vector(1)", "labels": {"job": JOB}},
        {"alert": "Watchdog", "expr": "vector(1)", "labels": {"job": JOB}},
        {"alert": "OfAnotherService", "expr": "vector(1)", "labels": {"job": "other"}},
        {"alert": "NotReady", "expr": "vector(0) > 0", "labels": {"job": JOB}},
    ]
    written[0]["annotations"] = {"summary": "It restarts"}
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "x", "rules": written}]}))
    return path


@pytest.mark.integration
def test_what_prometheus_says_is_listed_shown_and_silenced(
    make_app: MakeApp,
    rules: Path,
    prometheus: Callable[..., Prometheus],
    alertmanager: Callable[..., Alertmanager],
) -> None:
    require("Alertmanager", Alertmanager.installed())
    watching, telling = prometheus([], extra_config=f"rule_files: [{rules}]\n"), alertmanager(QUIET)
    ada = operator(make_app, prometheus_url=watching.url, alertmanager_url=telling.url)
    wait_until(lambda: told(ada)["total"], 30, 0.1)

    found = told(ada, "?limit=1")
    (one,) = found["items"]
    assert (found["total"], found["source"], found["missing"]) == (1, "prometheus", None)
    assert (one["name"], one["status"], one["summary"]) == (
        "AgentRestarting",
        "firing",
        "It restarts",
    )
    assert told(ada, "?offset=1")["items"] == []
    (line,) = shown(ada)["alerts"]
    assert (line["name"], line["summary"], line["silence"]) == (one["name"], "It restarts", None)
    assert line["reference"] == one["fingerprint"]

    for reference in ("AgentRestarting", one["fingerprint"]):
        asked = {**ASKED, "alert_id": reference}
        made = ada.send("POST", PATH, json=asked).get_json()
        page, (one,) = shown(ada), told(ada)["items"]
        assert page["alerts"][0]["silence"] == one["silence"]
        assert one["silence"]["id"] == made["id"]
        assert one["silence"]["ends_at"][:22] == made["ends_at"][:22]  # it keeps milliseconds
        assert [it["id"] for it in page["silences"]] == [made["id"]]
        again = assert_problem(ada.send("POST", PATH, json=asked), 409, "silence-exists")
        assert made["id"] in again["detail"] and ada.email in again["detail"]
        assert ada.send("DELETE", f"{PATH}/{made['id']}").status_code == 204
        assert told(ada)["items"][0]["silence"] is None

    # For planned maintenance: what does not fire, and not what is no alert.
    quiet = ada.send("POST", PATH, json={**ASKED, "alert_id": "NotReady"}).get_json()
    assert [(it["name"], it["value"]) for it in quiet["matchers"]] == [("alertname", "NotReady")]
    assert "Did you mean NotReady?" in refused(ada, "NotRady")
    assert "no rule of that name about this service" in refused(ada, "OfAnotherService")

    eve = sign_up(ada.client.application.test_client(), "eve@example.org")
    assert told(eve)["total"] == 1 and shown(eve)["silences"] is None
