"""Pages of the console whose parts do not all come: a network that changes while they load."""

import re
from collections import Counter

import pytest
from playwright.sync_api import Page, Route, expect

from tests.backends.browser import browser, missing_browser
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory, require
from tests.end_to_end.api import PASSWORD, Api

pytestmark = pytest.mark.end_to_end
MILLISECONDS = 30_000
PART = re.compile(r"/turns\.js$")


def opened(page: Page, server: WebServer, failures: int) -> Counter[str]:
    """Open the console while one script fails so often; return what was asked for."""
    asked: Counter[str] = Counter()

    def fail(route: Route) -> None:
        asked["script"] += 1
        if asked["script"] <= failures:
            route.abort("failed")
        else:
            route.continue_()

    page.set_default_timeout(MILLISECONDS)
    page.route(PART, fail)
    page.goto(server.url)
    return asked


def test_page_is_loaded_again_until_all_of_it_has_come(web_server: WebServerFactory) -> None:
    require("Chromium", missing_browser())
    server = web_server({})
    with browser() as chromium:
        page = chromium.new_page()
        asked = opened(page, server, failures=2)
        expect(page.get_by_label("E-mail address")).to_be_visible(timeout=MILLISECONDS)
        assert asked["script"] == 3
        expect(page.locator("#trouble")).to_be_empty()


@pytest.mark.full
def test_page_that_never_comes_says_so_and_stops(web_server: WebServerFactory) -> None:
    require("Chromium", missing_browser())
    server = web_server({})
    with browser() as chromium:
        page = chromium.new_page()
        asked = opened(page, server, failures=100)
        expect(page.get_by_text("Load it again when")).to_be_visible(timeout=MILLISECONDS)
        page.wait_for_timeout(1000)
        assert asked["script"] == 4


def test_what_reads_is_asked_again_and_what_changes_is_not(web_server: WebServerFactory) -> None:
    require("Chromium", missing_browser())
    server = web_server({})
    failed: Counter[str] = Counter()

    def once(route: Route) -> None:
        name = f"{route.request.method} {route.request.url.removeprefix(server.url)}"
        failed[name] += 1
        if failed[name] == 1:
            route.abort("failed")
        else:
            route.continue_()

    with Api(server.url) as api, browser() as chromium:
        api.register("ada@example.org")
        page = chromium.new_page()
        page.set_default_timeout(MILLISECONDS)
        page.goto(f"{server.url}/sign-in")
        page.get_by_label("E-mail address").fill("ada@example.org")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Environments").wait_for()
        page.route(re.compile("/api/v1/"), once)
        page.get_by_role("link", name="Teams").click()
        expect(page.get_by_role("heading", name="Teams", exact=True)).to_be_visible()
        page.get_by_role("link", name="API keys").click()
        page.get_by_role("heading", name="API keys").wait_for()
        page.wait_for_timeout(3000)
        assert failed["GET /api/v1/api-keys"] >= 2, failed
        assert page.get_by_text("The service does not answer.").count() == 0
