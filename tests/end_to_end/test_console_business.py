"""What operators see of the business in the console, also where nothing is counted."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.domain.accounts.operators import set_operator
from app.domain.business.journey import SUMS, WITHIN
from app.storage import BusinessCohort, BusinessDay, Database, utc_now
from tests.backends.browser import browser, missing_browser
from tests.conftest import WebServerFactory, require
from tests.end_to_end.visit import Visit
from tests.sizes import size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(180)]
SCREEN, TELEPHONE = 1280, 375
EMAIL = "ada@example.org"
FOUR = {
    **dict.fromkeys(SUMS, 0),
    **{"signed_up": 4, "environment": 3, "started": 2, "then_started": 2, "terminal": 2},
    **{"shell": 2, "then_shell": 2, "shell_us": 180 * 10**6, "shell_within_60": 1},
    **{f"shell_within_{seconds}": 2 for seconds in WITHIN[1:]},
}


def fill(database: Database) -> str:
    """Have four people signed up yesterday, of whom two got to a shell; return that day."""
    yesterday = utc_now().date() - timedelta(days=1)
    active = {"active_1": 3, "active_7": 5, "active_30": 8, "second_week_over": 0, "returned": 0}
    with database.writing() as session:
        session.add(BusinessCohort(day=yesterday, way="command_line", **FOUR))
        session.add(BusinessDay(day=yesterday, finished=True, **active))
    return str(yesterday)


@pytest.mark.parametrize("width", size((SCREEN,), (SCREEN, TELEPHONE)))
def test_numbers_are_drawn_and_told(
    web_server: WebServerFactory, tmp_path: Path, width: int
) -> None:
    require("Chromium", missing_browser())
    server = web_server({})
    with browser() as chromium:
        page = chromium.new_context(viewport={"width": width, "height": 860}).new_page()
        ada = Visit(page, width, tmp_path)
        ada.sign_up(server.url, EMAIL)
        expect(page.get_by_role("link", name="Business")).to_have_count(0)  # for operators
        database = Database(server.env["DATABASE_URL"])
        set_operator(database, EMAIL, operator=True)
        yesterday = fill(database)
        database.dispose()
        page.reload()
        ada.go("Business")
        funnel = page.get_by_role("table", name="Funnel")
        expect(funnel.get_by_role("row")).to_have_count(6)
        expect(ada.row("Started one")).to_contain_text("Started one250.0 %66.7 %")
        expect(page.get_by_role("region", name="Sign-ups")).to_contain_text("command line4")
        drawn = page.get_by_role("img", name="Sign-ups by the day")
        expect(drawn.locator("rect")).to_have_count(30)
        label = drawn.get_attribute("aria-label") or ""
        assert f"to {utc_now().date()}, so far, at most 4." in label
        expect(drawn.locator("rect.goes-on")).to_have_count(1)
        # Of the days on which nobody was counted it is not known who was active.
        expect(page.get_by_role("img", name="Active by the day").locator("rect")).to_have_count(1)
        bar = page.get_by_role("img", name="Active by the day").locator("rect")
        assert float(bar.get_attribute("width") or 0) < 20.5
        expect(ada.row("Came back in the second week")).to_have_text(
            "Came back in the second week0\u2013\u2013"
        )
        expect(page.get_by_text("2 had one, after 1.5 min on average.")).to_be_visible()
        expect(ada.row(re.compile("^1 min"))).to_have_text("1 min150.0 %")
        active = page.get_by_role("region", name="Active accounts")
        expect(active).to_contain_text(f"On {yesterday}3In 7 days to it5In 30 days to it8")
        page.get_by_text("By day, as a table").click()
        expect(page.get_by_role("table", name="By day").get_by_role("row")).to_have_count(31)
        expect(page.get_by_text("The agent has not read the audit log yet.")).to_be_visible()
        ada.look("business")
        page.get_by_label("Days up to today").select_option("7")
        expect(drawn.locator("rect")).to_have_count(7)
        assert ada.complaints == []


def test_page_says_so_where_nothing_is_counted(
    web_server: WebServerFactory, tmp_path: Path
) -> None:
    require("Chromium", missing_browser())
    server = web_server({"VIBEBOX_BUSINESS": "false"})
    with browser() as chromium:
        page = chromium.new_context().new_page()
        ada = Visit(page, SCREEN, tmp_path)
        ada.sign_up(server.url, EMAIL)
        database = Database(server.env["DATABASE_URL"])
        set_operator(database, EMAIL, operator=True)
        database.dispose()
        page.goto(f"{server.url}/operator/business")
        expect(page.get_by_role("alert").first).to_contain_text("VIBEBOX_BUSINESS is false")
        expect(page.get_by_role("table", name="Funnel")).to_be_hidden()
        assert ada.complaints == []
