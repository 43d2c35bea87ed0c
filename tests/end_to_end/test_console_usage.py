"""What an environment and a team have used, in the console: charts, and the same as tables."""

from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from app.storage import (
    Database,
    Environment,
    Membership,
    Project,
    Team,
    TeamRole,
    UsagePeriod,
    UsageRow,
    User,
    utc_now,
)
from tests.backends.browser import browser, missing_browser
from tests.backends.programs import wait_until
from tests.conftest import WebServerFactory, require
from tests.end_to_end.visit import Visit
from tests.sizes import size
from tests.support.fakes import IMAGE

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(180)]
SCREEN, TELEPHONE = 1280, 375
HOUR = 3600 * 10**9


def fill(database: Database, email: str) -> tuple[str, str]:
    """Make a team with an environment, and book an hour of each of two days."""
    with database.writing() as session:
        user = session.scalars(select(User).where(User.email == email)).one()
        team = Team(name="red")
        session.add(team)
        session.flush()
        session.add(Membership(team_id=team.id, user_id=user.id, role=TeamRole.ADMIN))
        project = Project(name="p", owner_team_id=team.id)
        session.add(project)
        session.flush()
        made = Environment(
            project_id=project.id, name="billing", image=IMAGE, cpu_limit=1, memory_limit_mb=64
        )
        session.add(made)
        session.flush()
        for days in range(2):
            at = utc_now() - timedelta(days=days)
            session.add(
                UsageRow(
                    environment_id=made.id,
                    environment=made.name,
                    team_id=team.id,
                    team=team.name,
                    starts_at=at.replace(minute=0, second=0, microsecond=0),
                    period=UsagePeriod.HOUR,
                    running_ns=HOUR,
                    cpu_ns=HOUR // 2,
                    memory_byte_seconds=2**30 * 3600,
                    unread_ns=HOUR // 4,
                )
            )
        return team.id, made.id


@pytest.mark.parametrize("width", size((SCREEN,), (SCREEN, TELEPHONE)))
def test_use_is_drawn_and_told(web_server: WebServerFactory, tmp_path: Path, width: int) -> None:
    require("Chromium", missing_browser())
    prices = {"VIBEBOX_USAGE_PRICES": "cpu_hour=2", "VIBEBOX_USAGE_CURRENCY": "CHF"}
    server = web_server({**prices, "VIBEBOX_QUOTA_MEMORY_GIB_HOURS": "0.000059"})
    with browser() as chromium:
        page = chromium.new_context(viewport={"width": width, "height": 860}).new_page()
        ada = Visit(page, width, tmp_path)
        ada.sign_up(server.url, "ada@example.org")
        database = Database(server.env["DATABASE_URL"])
        team, environment = fill(database, "ada@example.org")

        page.goto(f"{server.url}/environments/{environment}")
        week = page.get_by_role("img", name="CPU by the hour, 7 days")
        expect(week.locator("rect")).not_to_have_count(0)
        assert "at most 0.50 cores." in (week.get_attribute("aria-label") or "")
        page.get_by_text("By day, as a table").click()
        table = page.get_by_role("table", name="Use by day")
        expect(table.get_by_role("row")).to_have_count(8)
        expect(table.get_by_role("row").nth(1)).to_contain_text("1.00 h0.50 h1.00 GiB h")
        expect(table.get_by_role("row").nth(1)).to_contain_text("1.00 CHF")
        expect(page.get_by_text("Of 0.50 h nobody could read what was used.")).to_be_visible()
        ada.look("environment-use")
        # What is booked meanwhile shows as what it uses now.
        with database.writing() as session:
            row = session.scalars(select(UsageRow).order_by(UsageRow.starts_at.desc())).first()
            assert row is not None
            row.running_ns += HOUR // 360
            row.cpu_ns += HOUR // 1440
        now = page.get_by_role("img", name="CPU now")
        wait_until(lambda: "at most 0.25 cores" in (now.get_attribute("aria-label") or ""), 30)

        page.goto(f"{server.url}/teams/{team}")
        used = page.get_by_role("region", name="Used in 30 days")
        expect(used).to_contain_text("Cost2.00 CHF")
        environments = used.get_by_role("table", name="Use by environment")
        expect(environments).to_contain_text("billing2.00 h1.00 h")
        expect(used).to_contain_text("Running2.00 hCPU1.00 h")
        month = used.get_by_role("img", name="CPU hours by the day")
        expect(month.locator("rect")).to_have_count(30)
        hours = 1 if utc_now().day > 1 else 0.5
        quota = page.get_by_role("region", name="In use")
        expect(quota).to_contain_text(f"CPU hours{hours} this month")
        expect(quota).to_contain_text("of 0.000059 this month")
        ada.look("team-use")
        database.dispose()
        assert ada.complaints == []
