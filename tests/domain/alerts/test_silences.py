"""Operators silence alerts in a real Alertmanager, and end that; others may not."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import Any

import pytest

from app.domain.accounts.operators import set_operator
from app.stores import http
from tests.backends.alertmanager import Alertmanager
from tests.backends.programs import free_port, wait_until
from tests.conftest import require
from tests.domain.alerts.test_service import TOKEN, Told, alert
from tests.support.application import MakeApp, parts, sign_up
from tests.support.checks import assert_problem
from tests.support.stand_in import StandIn

pytestmark = pytest.mark.integration
PATH = "/api/v1/alerts/silences"
ASKED = {"alert_id": "HighAPILatency", "seconds": 7200, "comment": "The disk is being replaced"}
QUIET = json.dumps({"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]})


@pytest.fixture
def manager(alertmanager: Callable[..., Alertmanager]) -> Alertmanager:
    require("Alertmanager", Alertmanager.installed())
    return alertmanager(QUIET)


class Operator:
    """An operator of a service with this Alertmanager, which has told of an alert."""

    def __init__(self, make_app: MakeApp, url: str | None) -> None:
        self.app = make_app(alerts_token=TOKEN, alertmanager_url=url)
        self.user = sign_up(self.app.test_client(), "ada@example.org")
        Told(self.user, self.app)(alert())
        set_operator(parts(self.app).database, self.user.email, operator=True)

    def silence(self, **changes: Any) -> Any:
        return self.user.send("POST", PATH, json={**ASKED, **changes})

    def listed(self) -> list[dict[str, Any]]:
        answer = self.user.get(PATH)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        items: list[dict[str, Any]] = answer.get_json()["items"]
        return items

    def audited(self) -> list[tuple[str, str, str]]:
        entries = self.user.get("/api/v1/audit").get_json()["items"]
        return [
            (one["action"], one["target_name"], one["target_id"])
            for one in reversed(entries)
            if one["target_kind"] == "silence"
        ]


@pytest.fixture
def ada(make_app: MakeApp, manager: Alertmanager) -> Operator:
    return Operator(make_app, manager.url)


def states(manager: Alertmanager) -> dict[str, str]:
    """Return what Alertmanager does with each alert that it holds."""
    return {one["fingerprint"]: one["status"]["state"] for one in manager.alerts()}


@pytest.mark.parametrize("reference", ["HighAPILatency", "fingerprint"])
def test_alert_is_silenced_until_that_is_ended(
    ada: Operator, manager: Alertmanager, reference: str
) -> None:
    labels = {"alertname": "HighAPILatency", "severity": "warning", "instance": "a"}
    manager.post(labels)
    manager.post({**labels, "instance": "b"})
    (ours,) = (it["fingerprint"] for it in manager.alerts('instance="a"'))
    (other,) = (it["fingerprint"] for it in manager.alerts('instance="b"'))
    by_name = reference == "HighAPILatency"
    if not by_name:
        Told(ada.user, ada.app)(alert(fingerprint=ours, labels=labels))
        reference = ours
    answer = ada.silence(alert_id=reference)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    made = answer.get_json()
    lasts = datetime.fromisoformat(made["ends_at"]) - datetime.fromisoformat(made["starts_at"])
    assert (lasts.total_seconds(), made["created_by"]) == (7200, ada.user.email)
    wanted = {ours: "suppressed", other: "suppressed" if by_name else "active"}
    wait_until(lambda: states(manager) == wanted, 10, 0.05, lambda: str(states(manager)))

    (listed,) = ada.listed()
    assert (listed["id"], listed["state"], listed["comment"]) == (
        made["id"],
        "active",
        ASKED["comment"],
    )
    assert {one["name"] for one in listed["matchers"]} == (
        {"alertname"} if by_name else set(labels)
    )
    assert ada.user.send("DELETE", f"{PATH}/{made['id']}").status_code == 204
    wait_until(lambda: set(states(manager).values()) == {"active"}, 10, 0.05)
    assert ada.listed() == []
    named = ("HighAPILatency", made["id"])
    assert ada.audited() == [("silence.create", *named), ("silence.end", *named)]
    again = ada.user.send("DELETE", f"{PATH}/{made['id']}")
    assert_problem(again, 404, "silence-not-found")


def test_what_is_not_known_is_not_silenced(ada: Operator, manager: Alertmanager) -> None:
    assert_problem(ada.silence(alert_id="NoSuchAlert"), 404, "alert-not-found")
    known = "0f8c2a52-7a4e-4a55-9d0e-3a6f0f6f2f10"
    for id in (known, f"{{{known}}}", f"urn:uuid:{known}", "x", "..", "é"):
        unknown = ada.user.send("DELETE", f"{PATH}/{id}")
        assert_problem(unknown, 404, "silence-not-found")
    assert (ada.listed(), ada.audited()) == ([], [])


@pytest.mark.parametrize(
    "change", [{"seconds": 59}, {"seconds": 2592001}, {"comment": ""}, {"alert_id": ""}, {"x": 1}]
)
def test_what_is_asked_for_is_checked(ada: Operator, change: dict[str, Any]) -> None:
    assert_problem(ada.silence(**change), 422, "invalid-input")


def test_who_is_no_operator_may_not(ada: Operator) -> None:
    eve = sign_up(ada.app.test_client(), "eve@example.org")
    for method, path in (("GET", PATH), ("POST", PATH), ("DELETE", f"{PATH}/x")):
        assert_problem(eve.send(method, path, json=ASKED), 403, "permission-denied")


def test_without_an_alertmanager_the_setting_is_named(make_app: MakeApp) -> None:
    ada = Operator(make_app, None)
    problem = assert_problem(ada.silence(), 409, "store-not-set")
    assert problem["setting"] == "VIBEBOX_ALERTMANAGER_URL"


def test_one_that_does_not_answer_is_named(make_app: MakeApp) -> None:
    ada = Operator(make_app, f"http://127.0.0.1:{free_port()}")
    problem = assert_problem(ada.silence(), 502, "store-unavailable")
    named = "Alertmanager (VIBEBOX_ALERTMANAGER_URL)"
    assert problem["detail"] == f"{named} does not answer; start it, or correct that address."
    assert ada.audited() == []


@pytest.mark.parametrize("way", ["drips", "gateway", "refuses"])
def test_silence_that_may_have_been_made_is_audited(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(http, "_SECONDS", 0.3)
    with closing(StandIn()) as peer:

        def told(_: Any) -> Any:
            if len(peer.asked) == 1:
                return []  # those that there are
            peer.drips, peer.status = way == "drips", {"gateway": 504, "refuses": 400}.get(way, 200)
            return {"silenceID": "1"}

        peer.answers["/api/v2/silences"] = told
        ada = Operator(make_app, peer.url)
        assert_problem(ada.silence(), 502, "store-unavailable")
    entries = ada.user.get("/api/v1/audit?action=silence.create").get_json()["items"]
    assert [one["details"]["outcome"] for one in entries] == ["unknown"] * (way != "refuses")
