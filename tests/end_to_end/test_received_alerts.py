"""A real Alertmanager tells the service what fires, and the console shows it until it is over."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from app.domain.accounts.operators import set_operator
from app.storage import Database
from tests.backends.alertmanager import Alertmanager
from tests.backends.browser import browser, missing_browser
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory, require
from tests.end_to_end.api import PASSWORD, Api

pytestmark = pytest.mark.end_to_end

EMAIL = "ada@example.org"
TOKEN = "told-by-alertmanager"
LABELS = {"alertname": "<b>Slow</b>", "severity": "warning", "job": "vibebox-backend"}
NOTES = {"summary": "It is slow", "runbook_url": "https://example.org/runbook"}
PATIENCE = 30.0
TOLD = {"route": "/api/v1/alerts", "method": "POST", "status_code": "200"}


def config(url: str) -> str:
    """Return a configuration that tells at once, and each change within a second."""
    authorization = {"credentials_file": "token"}
    webhook = {"url": f"{url}/api/v1/alerts", "http_config": {"authorization": authorization}}
    route = {
        "receiver": "vibebox",
        "group_wait": "10ms",
        "group_interval": "1s",
        "repeat_interval": "1s",
    }
    return json.dumps(
        {"route": route, "receivers": [{"name": "vibebox", "webhook_configs": [webhook]}]}
    )


def strip(api: Api) -> dict[str, Any]:
    """Return what the health strip of the console reads."""
    url = api.url.replace("/api/v1", "/console/telemetry")
    headers = {"Authorization": f"Bearer {api.tokens['access_token']}"}
    with requests.Session() as session:
        session.trust_env = False
        found: dict[str, Any] = session.get(url, headers=headers, timeout=30).json()
    return found


def sign_in(page: Page, url: str) -> None:
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(url)
    expect(page.get_by_role("button", name="Sign in")).to_be_enabled()
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=re.compile("^Service")).click()


def test_alert_is_shown_from_when_it_fires_until_it_is_over(
    web_server: WebServerFactory, alertmanager: Callable[..., Alertmanager]
) -> None:
    require("Chromium", missing_browser())
    server = web_server({"VIBEBOX_ALERTS_TOKEN": TOKEN}, start=False)
    teller = alertmanager(config(server.url), files={"token": TOKEN})
    server.set(VIBEBOX_ALERTMANAGER_URL=teller.url)
    server.start()
    began = datetime.now(UTC) - timedelta(minutes=1)
    with Api(server.url) as api, browser() as chromium:
        api.register(EMAIL)
        api.login(EMAIL)
        assert strip(api)["alerts"] == []

        teller.post(LABELS, NOTES, starts_at=began, generator_url="http://prometheus:9090/graph")
        wait_until(lambda: bool(strip(api)["alerts"]), PATIENCE)
        # What repeats is still one.
        wait_until(lambda: server.metric("vibebox_http_requests_total", **TOLD) >= 2, PATIENCE)
        found = strip(api)
        assert found["alerts"] == [
            {
                "name": LABELS["alertname"],
                "severity": LABELS["severity"],
                "summary": NOTES["summary"],
                "link": NOTES["runbook_url"],
                "reference": api.call("GET", "/alerts").json()["items"][0]["fingerprint"],
                "silence": None,
            }
        ]
        assert found["alerts_reason"] is None and "PROMETHEUS_URL" in found["reason"]
        (listed,) = api.call("GET", "/alerts").json()["items"]
        assert listed["labels"] == LABELS
        assert abs(datetime.fromisoformat(listed["starts_at"]) - began) < timedelta(seconds=1)

        page = chromium.new_page()
        sign_in(page, server.url)
        shown = page.locator("[data-health=alerts]")
        # The text is text, whatever it looks like.
        expect(shown.get_by_role("link", name=LABELS["alertname"])).to_have_attribute(
            "href", NOTES["runbook_url"]
        )
        assert page.locator("[data-health=alerts] b").count() == 0
        expect(page.locator("[data-health=reason]")).to_have_text(re.compile("^No figures: [^:]*$"))

        # Who looks after the service only silences.
        expect(page.get_by_role("heading", name="Silences")).to_be_hidden()
        database = Database(server.env["DATABASE_URL"])
        set_operator(database, EMAIL, operator=True)
        database.dispose()
        silences_and_ends_that(page, teller)

        teller.post(LABELS, NOTES, starts_at=began, ends_at=datetime.now(UTC))
        wait_until(lambda: strip(api)["alerts"] == [], PATIENCE)
        page.reload(wait_until="commit")
        expect(shown).to_have_text("None fires.", timeout=PATIENCE * 1000)
        (over,) = api.call("GET", "/alerts?ended=true").json()["items"]
        assert over["status"] == "resolved" and over["ends_at"] >= over["starts_at"]
        assert server.metric("vibebox_api_errors_total", route="/api/v1/alerts") == 0


def silences_and_ends_that(page: Page, teller: Alertmanager) -> None:
    """Silence the alert from its row, see that in Alertmanager, and end it."""

    def state() -> str:
        (held,) = teller.alerts()
        return str(held["status"]["state"])

    page.reload(wait_until="commit")
    page.get_by_role("button", name=f"Silence {LABELS['alertname']}").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Silence", exact=True).click()
    expect(dialog.locator("[data-field=comment] .problem")).to_be_visible()
    dialog.get_by_label("Why").fill("The disk is being replaced")
    dialog.get_by_role("button", name="Silence", exact=True).click()
    shown = page.locator("[data-silences]")
    expect(shown).to_contain_text(f"by {EMAIL}: The disk is being replaced")
    wait_until(lambda: state() == "suppressed", PATIENCE)
    alerts = page.locator("[data-health=alerts]")
    expect(alerts).to_contain_text("silenced until")
    silence = alerts.get_by_role("button", name=f"Silence {LABELS['alertname']}", exact=True)
    expect(silence).to_have_count(0)
    expect(shown.get_by_role("button", name="End the silence")).to_have_count(1)
    alerts.get_by_role("button", name=f"End the silence of {LABELS['alertname']}").click()
    page.get_by_role("dialog").get_by_role("button", name="End", exact=True).click()
    expect(shown).to_contain_text("None.")
    expect(silence).to_have_count(1)
    wait_until(lambda: state() == "active", PATIENCE)


def flood(size: int, number: int = 1100) -> list[dict[str, Any]]:
    """Return alerts with so many bytes of text each."""
    return [
        {
            "labels": {"alertname": "Flood", "severity": "warning", "number": str(n)},
            "annotations": {"description": "x" * size},
        }
        for n in range(number)
    ]


def answers(server: WebServer, status: int) -> float:
    """Return how often a notification was answered with this status."""
    return server.metric("vibebox_http_requests_total", **{**TOLD, "status_code": str(status)})


def test_flood_of_alerts_is_not_lost(
    web_server: WebServerFactory, alertmanager: Callable[..., Alertmanager]
) -> None:
    server = web_server({"VIBEBOX_ALERTS_TOKEN": TOKEN})
    teller = alertmanager(config(server.url), files={"token": TOKEN})
    with Api(server.url) as api:
        api.register(EMAIL)
        api.login(EMAIL)
        # 1,100 alerts and 10 MB: more than the service takes. Alertmanager gives a 413 up at once,
        # and begins anew with what fires at its next interval, as often as it takes.
        teller.post_all(flood(9000))
        wait_until(lambda: answers(server, 413) >= 2, PATIENCE)
        # Of the first ones Alertmanager may tell before it has all of them.
        early = api.call("GET", "/alerts").json()["total"]
        assert early < 1000

        # More than 1,000 alerts, and more than other bodies may have, are taken in.
        teller.post_all(flood(1000))
        wait_until(lambda: api.call("GET", "/alerts").json()["total"] >= 1000, PATIENCE)
        # The first 1,000 of what Alertmanager tells at once, which need not hold the early ones.
        assert 1000 <= api.call("GET", "/alerts").json()["total"] <= 1000 + early
        told = [line for line in server.log_lines() if line["event"] == "alerts truncated"]
        assert told[0]["truncated"] == 100
        assert answers(server, 422) == 0
