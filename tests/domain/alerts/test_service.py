"""Alerts: told by Alertmanager, listed for whoever has signed in, shown in the console."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app.domain.alerts import service
from app.storage import Alert, utc_now
from app.web.api.alerts import MAX_NOTIFICATION_BYTES
from app.web.api.schemas.alerts import ONCE
from app.web.openapi import MAX_BODY_BYTES
from tests.support.application import MakeApp, User, parts
from tests.support.checks import assert_problem
from tests.support.routes import ALERT

TOKEN = "alerts-secret"
NEVER = "0001-01-01T00:00:00Z"


@pytest.fixture
def app(make_app: MakeApp) -> OpenAPI:
    return make_app(alerts_token=TOKEN)


class Told:
    """Tells alerts as Alertmanager does, and shows what became of them."""

    def __init__(self, user: User, app: OpenAPI) -> None:
        self.user, self.app = user, app

    def post(self, *alerts: dict[str, Any], token: str = TOKEN, **fields: Any) -> TestResponse:
        body = {"version": "4", "status": "firing", "alerts": list(alerts), **fields}
        headers = {"Authorization": f"Bearer {token}"}
        return self.user.client.post("/api/v1/alerts", json=body, headers=headers)

    def __call__(self, *alerts: dict[str, Any]) -> dict[str, int]:
        response = self.post(*alerts)
        assert response.status_code == 200, response.get_data(as_text=True)
        receipt: dict[str, int] = response.get_json()
        return receipt

    def listed(self, query: str = "") -> list[dict[str, Any]]:
        response = self.user.get(f"/api/v1/alerts{query}")
        assert response.status_code == 200
        body = response.get_json()
        assert body["total"] == len(body["items"]) or "limit" in query
        items: list[dict[str, Any]] = body["items"]
        return items

    def strip(self) -> list[dict[str, Any]]:
        """Return the alerts that the console shows."""
        found = self.user.get("/console/telemetry").get_json()
        assert found["alerts_reason"] is None
        alerts: list[dict[str, Any]] = found["alerts"]
        return alerts

    def pretend(self, **columns: Any) -> None:
        """Change what is stored, as if time had passed."""
        with parts(self.app).database.writing() as session:
            session.execute(update(Alert).values(**columns))

    def rows(self) -> int:
        with parts(self.app).database.reading() as session:
            return len(session.scalars(select(Alert)).all())


@pytest.fixture
def told(user: User, app: OpenAPI) -> Told:
    return Told(user, app)


def alert(**changes: Any) -> dict[str, Any]:
    return {**ALERT, **changes}


def labelled(**labels: str) -> dict[str, Any]:
    return alert(labels=labels, fingerprint=labels["alertname"].lower())


def test_alert_is_listed_while_it_fires(told: Told) -> None:
    assert told(alert()) == {"received": 1, "dropped": 0, "truncated": 0, "heartbeats": 0}
    (found,) = told.listed()

    assert found["name"] == "HighAPILatency"
    assert (found["severity"], found["status"]) == ("warning", "firing")
    assert (found["summary"], found["description"]) == ("The API is slow", "")
    assert found["starts_at"] == "2026-01-31T12:00:00.123456Z"
    assert found["ends_at"] is None
    assert found["generator_url"] == ALERT["generatorURL"]
    assert told.strip() == [
        {
            "name": "HighAPILatency",
            "severity": "warning",
            "summary": "The API is slow",
            "link": None,
            "reference": ALERT["fingerprint"],
            "silence": None,
        }
    ]


def test_same_alert_again_is_the_same_and_brings_its_text_up_to_date(told: Told) -> None:
    told(alert(), alert())
    first = told.listed()[0]["heard_at"]
    told(alert(annotations={"summary": "Slower"}))

    (found,) = told.listed()
    assert found["summary"] == "Slower"
    assert found["heard_at"] > first


def test_alert_that_fires_anew_is_another_one(told: Told) -> None:
    told(alert(status="resolved", endsAt=utc_now().isoformat()))
    told(alert(startsAt="2026-01-31T13:00:00Z"))

    assert [one["status"] for one in told.listed("?ended=true")] == ["firing", "resolved"]


def test_resolved_alert_is_shown_on_demand(told: Told) -> None:
    told(alert())
    ended = utc_now() - timedelta(seconds=5)
    told(alert(status="resolved", endsAt=ended.isoformat()))

    assert told.listed() == told.strip() == []
    (found,) = told.listed("?ended=true")
    assert found["status"] == "resolved"
    assert datetime.fromisoformat(found["ends_at"]) == ended


def test_end_that_makes_no_sense_is_the_moment_it_was_told(told: Told) -> None:
    ahead = (utc_now() + timedelta(days=1)).isoformat()
    for number, end in enumerate((NEVER, ahead)):
        told(alert(status="resolved", endsAt=end, fingerprint=f"f{number}"))

    for found in told.listed("?ended=true"):
        assert datetime.fromisoformat(found["ends_at"]) <= utc_now()


def test_alert_that_comes_back_after_its_end_fires(told: Told) -> None:
    told(alert(status="resolved", endsAt="2026-01-31T12:05:00Z"))
    told(alert())

    assert [one["status"] for one in told.listed()] == ["firing"]


def test_alert_that_is_not_repeated_is_believed_for_a_while(
    make_app: MakeApp, make_user: Callable[..., User]
) -> None:
    app = make_app(alerts_token=TOKEN, alerts_expire=300)
    told = Told(make_user(app.test_client(), "ada@example.org"), app)
    soon = utc_now() + timedelta(seconds=60)
    told(
        alert(),
        alert(fingerprint="soon", endsAt=soon.isoformat()),
        alert(fingerprint="never", endsAt="9999-12-31T23:59:59Z"),
    )
    with parts(app).database.reading() as session:
        ends = {row.fingerprint: row.ends_at for row in session.scalars(select(Alert))}

    assert ends["soon"] == soon
    for name in (ALERT["fingerprint"], "never"):
        assert timedelta(200) > ends[name] - utc_now() > timedelta(seconds=60)
    told.pretend(ends_at=utc_now())
    assert told.listed() == told.strip() == []
    assert {one["status"] for one in told.listed("?ended=true")} == {"expired"}
    told(alert())
    assert len(told.listed()) == 1


def test_what_is_over_for_a_day_is_forgotten(told: Told) -> None:
    told(alert())
    told.pretend(ends_at=utc_now() - service.KEPT - timedelta(seconds=1))
    told()

    assert told.rows() == 0


def test_there_is_room_for_so_many_and_for_those_that_are_known(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_ALERTS", 2)
    full = {"received": 2, "dropped": 1, "truncated": 0, "heartbeats": 0}
    assert told(*(alert(fingerprint=name) for name in "abc")) == full
    assert told(*(alert(fingerprint=name) for name in "zab")) == full

    assert {one["fingerprint"] for one in told.listed()} == {"a", "b"}


def test_what_is_over_makes_room_for_what_fires(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_ALERTS", 2)
    for end in ("2999-01-31T12:05:00Z", "2999-01-31T12:06:00Z"):
        told(alert(status="resolved", endsAt=end, fingerprint=end))

    assert told(alert(fingerprint="new")) == {
        "received": 1,
        "dropped": 0,
        "truncated": 0,
        "heartbeats": 0,
    }
    assert [one["fingerprint"] for one in told.listed()] == ["new"]
    assert told.rows() == 2


def test_flood_is_taken_in_as_far_as_it_goes_and_says_what_is_left_out(told: Told) -> None:
    """Alertmanager sends nothing again of what is refused: 1,001 alerts would be none."""
    over = [alert(status="resolved", endsAt=NEVER, fingerprint=f"r{n}") for n in range(5)]
    firing = [alert(fingerprint=f"f{n}") for n in range(ONCE)]
    page = labelled(alertname="ServiceDown", severity="critical")
    page["startsAt"] = "2026-02-01T12:00:00Z"  # the first of the list
    beat = labelled(alertname="Watchdog", severity="none")
    response = told.post(*over, *firing, page, beat, truncatedAlerts=3)

    # A storm is no time to miss the heartbeat.
    expected = {"received": ONCE - 1, "dropped": 0, "truncated": 5 + 2 + 3, "heartbeats": 1}
    assert response.get_json() == expected
    assert told.listed("?limit=1")[0]["name"] == "ServiceDown"
    assert told.rows() == ONCE - 1


def test_notification_may_be_larger_than_other_bodies(told: Told) -> None:
    large = alert(annotations={"description": "x" * (MAX_BODY_BYTES + 1)})
    assert told(large)["received"] == 1

    larger = alert(annotations={"description": "x" * MAX_NOTIFICATION_BYTES})
    assert_problem(told.post(larger), 413, "body-too-large")


@pytest.mark.parametrize("alerts", [[1] * 1001, [{"status": []}] * 1001, [{"labels": 5}] * 1001])
def test_flood_of_what_is_no_alert_is_refused(told: Told, alerts: list[Any]) -> None:
    assert_problem(told.post(*alerts), 422, "invalid-input")
    assert_problem(told.post(*alerts, truncatedAlerts="x"), 422, "invalid-input")


def test_number_of_truncated_alerts_may_be_written_with_a_point(told: Told) -> None:
    for alerts, left_out in (([alert()], 0), ([alert(fingerprint="x")] * (ONCE + 2), 2)):
        answer = told.post(*alerts, truncatedAlerts=3.0)
        assert answer.get_json()["truncated"] == 3 + left_out


@pytest.mark.parametrize("number", ["5", True, 1.5, -1, None])
def test_number_of_truncated_alerts_is_one(told: Told, number: Any) -> None:
    for alerts in ([alert()], [alert()] * (ONCE + 1)):
        assert_problem(told.post(*alerts, truncatedAlerts=number), 422, "invalid-input")


def test_long_and_impossible_text_is_clipped(told: Told) -> None:
    many = {f"label{number:03}": "v" for number in range(200)}
    told(
        alert(
            labels={"alertname": "x\x00" + "y" * 9000, **many},
            annotations={"n" * 500: "v"},
            generatorURL="http://" + "x" * 9000,
        )
    )
    (found,) = told.listed()

    assert found["name"].startswith("x\ufffdy") and len(found["name"]) == service.MAX_VALUE
    assert len(found["labels"]) == service.MAX_PAIRS
    assert len(found["generator_url"]) == service.MAX_URL


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://example.org/runbook", "https://example.org/runbook"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("//example.org", None),
        ("http://[", None),
    ],
)
def test_only_addresses_of_the_web_become_links(told: Told, address: str, link: str | None) -> None:
    told(alert(annotations={"runbook_url": address}, generatorURL=address))
    (found,) = told.listed()

    assert (found["runbook_url"], found["generator_url"]) == (link, link)
    assert told.strip()[0]["link"] == link


def test_strip_shows_each_name_once(told: Told) -> None:
    told(
        alert(fingerprint="one"),
        alert(fingerprint="two"),
        labelled(alertname="ServiceDown", severity="critical"),
    )

    names = [(one["name"], one["severity"]) for one in told.strip()]
    assert names == [("HighAPILatency", "warning"), ("ServiceDown", "critical")]


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": ""},
        {"fingerprint": "x" * 65},
        {"startsAt": "yesterday"},
        {"startsAt": 5},
        {"startsAt": "0001-01-01T00:00:00+14:00"},
        {"status": "unknown"},
        {"labels": {"a": 1}},
    ],
    ids=str,
)
def test_what_is_no_alert_is_refused(told: Told, change: dict[str, Any]) -> None:
    assert_problem(told.post(alert(**change)), 422, "invalid-input")
    assert told.rows() == 0


def test_another_version_of_the_webhook_is_refused(told: Told) -> None:
    assert_problem(told.post(alert(), version="5"), 422, "invalid-input")


@pytest.mark.parametrize("token", ["wrong", "alerts-secre", "ålerts"])
def test_wrong_token_is_a_401(told: Told, token: str) -> None:
    response = told.post(alert(), token=token)

    assert_problem(response, 401, "invalid-token")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_missing_token_and_that_of_a_login_are_a_401(told: Told) -> None:
    path, body = "/api/v1/alerts", {"version": "4", "alerts": []}

    assert_problem(told.user.client.post(path, json=body), 401, "not-authenticated")
    assert_problem(told.user.post(path, json=body), 401, "invalid-token")


def test_wrong_tokens_are_limited(make_app: MakeApp, make_user: Callable[..., User]) -> None:
    app = make_app(alerts_token=TOKEN, rate_limit_address="2 per minute")
    told = Told(User(app.test_client(), "nobody"), app)
    statuses = [told.post(alert(), token="wrong").status_code for _ in range(3)]

    assert statuses == [401, 401, 429]
    assert told.post(alert()).status_code == 200


def test_without_the_setting_the_answer_names_it(
    make_app: MakeApp, make_user: Callable[..., User]
) -> None:
    app = make_app()
    told = Told(make_user(app.test_client(), "ada@example.org"), app)
    problem = assert_problem(told.post(alert()), 403, "alerts-not-received")

    assert "VIBEBOX_ALERTS_TOKEN" in problem["detail"]
    reason = told.user.get("/console/telemetry").get_json()["alerts_reason"]
    assert "VIBEBOX_ALERTS_TOKEN" in reason


def test_starts_of_any_zone_are_one(told: Told) -> None:
    told(alert(startsAt="2026-01-31T12:00:00Z"), alert(startsAt="2026-01-31T14:00:00+02:00"))

    (found,) = told.listed()
    assert datetime.fromisoformat(found["starts_at"]) == datetime(2026, 1, 31, 12, tzinfo=UTC)
