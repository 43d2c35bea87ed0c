"""What is behind an alert, in the console: by its button, and by the link of a message."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from app.domain.accounts.operators import set_operator
from app.storage import Database
from tests.backends.browser import browser, missing_browser
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory, require
from tests.end_to_end.visit import Visit

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(180)]
RULES = """
groups:
- name: always
  rules:
  - alert: Failing
    expr: label_replace(vector(7), "task", "sweep", "", "")
    labels: {job: vibebox-backend, severity: warning}
  - alert: Odd
    expr: vector(1)
    labels: {job: vibebox-backend, severity: info}
"""
WIDTH = 1280


@pytest.fixture
def server(web_server: WebServerFactory, prometheus: Any, tmp_path: Path) -> WebServer:
    require("Chromium", missing_browser())
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES)
    scraper = prometheus([], extra_config=f"rule_files: ['{rules}']")
    scraper.wait_for('count(ALERTS{alertstate="firing"}) == 2', timeout=30)
    return web_server({"VIBEBOX_PROMETHEUS_URL": scraper.url})


def test_alert_is_explained_as_far_as_its_reader_may_see(server: WebServer, tmp_path: Path) -> None:
    with browser() as chromium:
        page = chromium.new_context(viewport={"width": WIDTH, "height": 860}).new_page()
        ada = Visit(page, WIDTH, tmp_path)
        ada.sign_up(server.url, "ada@example.org")
        ada.go("Service")
        page.get_by_role("button", name="Explain Failing").click()

        shown = page.locator("[data-explanation=place]")
        expect(shown.get_by_role("heading", name="What is behind Failing")).to_be_focused()
        # The alert itself says the task; what Prometheus says of it is for operators.
        expect(shown).to_contain_text("It comes from the task sweep.")
        expect(shown).to_contain_text("hidden: ask an operator")
        ada.look("explanation")

        database = Database(server.env["DATABASE_URL"])
        set_operator(database, "ada@example.org", operator=True)
        database.dispose()
        page.goto(f"{server.url}/service?explain=Odd")  # as the link of a message leads

        expect(shown).to_contain_text("No culprit: nothing is known")
        expect(shown).to_contain_text("the whole service: 1")
        expect(shown).to_contain_text("VIBEBOX_TRACE_STORE_URL is not set")
        assert ada.complaints == []
