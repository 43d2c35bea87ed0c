"""A day in the console in a real browser, on a screen and on a telephone."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from app.storage import Database, User
from tests.backends import http
from tests.backends.agent import Agent
from tests.backends.browser import browser, missing_browser
from tests.backends.code_server import package
from tests.backends.docker_engine import DockerEngine
from tests.backends.host_image import import_host_image, missing_programs
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.prometheus import Prometheus
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory, require
from tests.end_to_end.api import PASSWORD, Api
from tests.end_to_end.visit import MILLISECONDS, PATIENCE, Visit
from tests.sizes import FULL, size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(600)]

POLLED_AFTER = 2.5
"""Seconds after which a list without a stream is asked for again, and a little more."""
SIZES = {1280: 860, 375: 812}
SCREEN, TELEPHONE = SIZES
PASTED = size(300_000, 10_000_000)
PAGES = 10


@pytest.fixture
def server(
    web_server: WebServerFactory,
    docker_engine: DockerEngine,
    postgresql: PostgreSQL,
    prometheus: Any,
) -> Iterator[WebServer]:
    require("tmux", missing_programs())
    require("Chromium", missing_browser())
    env = {
        "DOCKER_HOST": docker_engine.host,
        "DATABASE_URL": postgresql.new_database(),
        "VIBEBOX_STOP_GRACE": "0",
    }
    server = web_server(env, workers=2, threads=8, start=False)
    scraper: Prometheus = prometheus([f"127.0.0.1:{server.port}"])
    server.set(VIBEBOX_PROMETHEUS_URL=scraper.url)
    server.start()
    agent = Agent.beside(server).start()
    yield server
    agent.terminate()
    docker_engine.clear()


@pytest.fixture
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


class Day:
    """Who does what where."""

    def __init__(
        self, server: WebServer, engine: DockerEngine, image: str, chromium: Browser, width: int
    ) -> None:
        self.server = server
        self.image = image
        self.width = width
        self.email = f"ada-{width}@example.org"
        self._engine = engine
        self._chromium = chromium

    def visit(self, pictures: Path) -> Visit:
        """Return somebody new, in a browser of their own."""
        screen: Any = {"width": self.width, "height": SIZES[self.width]}
        return Visit(self._chromium.new_context(viewport=screen).new_page(), self.width, pictures)

    def output(self, environment: str, *argv: str) -> str:
        """Run a command in the container of an environment, and return what it printed."""
        with self._engine.client() as client:
            raw: Any = client
            printed: bytes = raw.exec_start(raw.exec_create(f"vibebox-{environment}", argv)["Id"])
            return printed.decode(errors="replace")


@pytest.mark.parametrize("width", size((SCREEN,), (SCREEN, TELEPHONE)))
def test_a_day(
    server: WebServer, docker_engine: DockerEngine, chromium: Browser, tmp_path: Path, width: int
) -> None:
    with docker_engine.client() as client:
        image = import_host_image(client)
    day = Day(server, docker_engine, image, chromium, width)
    ada = day.visit(tmp_path)
    ada.sign_up(server.url, day.email)
    expect(ada.page.get_by_text("You have no environments yet.")).to_be_visible()
    ada.create("billing-api", image)
    _overview(day, ada)
    _shell_and_log(ada)
    _paste_over_a_reload(day, ada)
    _settings(ada)
    if FULL:
        _extensions(ada)
    _live(ada.page)
    _in_two_tabs_at_once(ada.page)
    _without_a_stream(ada)
    if FULL:
        _pages_open(day, ada)
    _team(day, ada)
    _viewer(day, tmp_path)
    _keys(ada)
    _account(day, ada)
    _operator(day, tmp_path)
    _service(ada)
    if not FULL:
        _on_a_telephone(day, ada)
    _the_end(day, ada)
    assert ada.complaints == []
    token = 'vibebox_http_requests_total{method="POST",route="/console/sign-in",status_code="200"}'
    assert f"{token} " in http.get(f"{server.url}/health/metrics").text


def _overview(day: Day, ada: Visit) -> None:
    link = ada.page.get_by_role("link", name=re.compile("8000 → "))
    expect(link).to_have_attribute("href", re.compile(r"^http://127\.0\.0\.1:\d+/$"))
    ada.page.get_by_role("button", name="Measure what it uses").click()
    expect(ada.page.get_by_text("of 64.0 MiB")).to_be_visible()
    ada.look("overview")


def _shell_and_log(ada: Visit) -> None:
    """Use a shell: it is as large as the window, and the log shows what it says."""
    page = ada.page
    ada.tab("Terminal")
    ada.terminal("New shell")
    ada.type("echo $((6 * 7))-typed", "42-typed")
    rows = ada.rows()
    ada.type("stty size", f"{rows} ")
    page.set_viewport_size({"width": ada.width, "height": SIZES[ada.width] + 200})
    expect(ada.screen.locator("> div")).not_to_have_count(rows)
    ada.type("clear; stty size", f"{ada.rows()} ")
    page.set_viewport_size({"width": ada.width, "height": SIZES[ada.width]})
    ada.type("printf '\\e[38;2;255;120;0mcolour\\e[0m\\n'", "colour")
    coloured = page.locator(".xterm-rows span", has_text="colour").last
    expect(coloured).to_have_css("color", "rgb(255, 120, 0)")
    ada.type("echo told-$((40 + 2)) > /proc/1/fd/1; echo done-$((1 + 1))", "done-2")
    ada.look("terminal")
    page.keyboard.press("Shift+Tab")
    expect(page.locator(".shell :focus")).to_have_count(0)
    ada.tab("Logs")
    expect(page.locator("[data-logs=lines]")).to_contain_text("told-42", timeout=MILLISECONDS)
    ada.look("logs")


def _paste_over_a_reload(day: Day, ada: Visit) -> None:
    """Paste while the service reloads: no byte is lost; tmux is come back to, a shell is not."""
    page, server = ada.page, day.server
    environment = page.url.split("/")[4]
    ada.tab("Terminal")
    ada.terminal("tmux")
    ada.type(f"stty -echo -icanon; clear; echo re''ady; head -c {PASTED} >/p; stty sane", "ready")
    digest = ada.paste(PASTED)
    server.signal(signal.SIGHUP)
    wait_until(lambda: digest in day.output(environment, "sha256sum", "/p"), 2 * PATIENCE)
    # What was typed before is there still, and what is typed next arrives.
    ada.type("echo kept-$((40 + 2))", "kept-42")
    for pid in server.worker_pids():
        os.kill(pid, signal.SIGKILL)
    expect(page.locator("[data-terminal=lost]")).to_contain_text("The connection is lost.")
    page.locator(".shell textarea").focus()
    page.keyboard.type("x")
    expect(page.get_by_text("Connected to ")).to_be_visible(timeout=MILLISECONDS)
    expect(ada.screen).to_contain_text("kept-42", timeout=MILLISECONDS)
    ada.terminal("New shell")
    for pid in server.worker_pids():
        os.kill(pid, signal.SIGKILL)
    expect(page.locator("[data-terminal=lost]")).to_contain_text("the shell ended with it")
    page.locator("[data-terminal=again]").click()
    expect(page.get_by_text("Connected to ")).to_be_visible(timeout=MILLISECONDS)
    ada.type("echo new-$((40 + 2))", "new-42")
    ada.page.keyboard.type("exit 3\n")
    expect(page.locator("[data-terminal=lost]")).to_have_text("Exit code 3.")


def _settings(ada: Visit) -> None:
    """Change what may be changed while it runs, then the rest."""
    page = ada.page
    ada.tab("Settings")
    page.get_by_label("Memory, MiB").fill("1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Enter a number of at least 16.")).to_be_visible()
    page.get_by_label("Memory, MiB").fill("96")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_label("Image", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Stop billing-api").click()
    ada.wait_for_status("stopped")
    expect(page.get_by_text("stopped by request")).to_be_attached()
    page.get_by_label("Ports to publish").fill("8000, 9000/udp")
    page.get_by_role("button", name="Add a variable").click()
    page.keyboard.type("GREETING")
    page.keyboard.press("Tab")
    page.keyboard.type("two\nlines")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    ada.look("settings")
    page.reload()
    expect(page.get_by_label("Value of GREETING")).to_have_value("two\nlines")
    expect(page.get_by_label("Ports to publish")).to_have_value("8000, 9000/udp")
    page.get_by_role("button", name="Start billing-api").click()
    ada.wait_for_status("running")
    ada.tab("Overview")
    expect(page.get_by_text("1 CPU, 96 MiB")).to_be_visible()


def _live(page: Page) -> None:
    """See in a list that is open what is done on the page; nothing is asked for in between."""
    listing = page.context.new_page()
    asked: list[str] = []
    listing.on("request", lambda request: asked.append(request.url))
    listing.goto(page.url.partition("/environments")[0])
    row = listing.get_by_role("row").filter(has_text="billing-api")
    for tab in (page, listing):
        expect(tab.locator("#main")).to_have_attribute("data-live", "yes")
    expect(row).to_contain_text("running")
    listing.wait_for_timeout(500)  # what the stream told at its beginning is asked for
    asked.clear()
    listing.wait_for_timeout(POLLED_AFTER * 1000)
    assert [url for url in asked if "/api/v1/" in url] == []
    for action, status in (("Pause", "paused"), ("Unpause", "running")):
        page.get_by_role("button", name=f"{action} billing-api").click()
        expect(row).to_contain_text(status)
    listing.close()


def _extensions(ada: Visit) -> None:
    """Ask for what the image cannot have: the page says so, and why."""
    page = ada.page
    ada.tab("VS Code")
    page.get_by_role("button", name="Open VS Code").click()
    expect(page.get_by_text("The image holds no VS Code server")).to_be_visible()
    page.get_by_label("Extension", exact=True).fill("no name")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Name it as publisher.name")).to_be_visible()
    page.get_by_label("or a package").set_input_files(
        {"name": "hello.vsix", "mimeType": "application/zip", "buffer": package()}
    )
    row = ada.row("vibebox.hello")
    expect(row).to_contain_text("failed", timeout=MILLISECONDS)
    expect(row).to_contain_text("exit code 127")
    page.get_by_label("Extension", exact=True).fill("nobody.nothing")
    page.keyboard.press("Enter")
    row = ada.row("nobody.nothing")
    expect(row).to_contain_text("failed", timeout=MILLISECONDS)
    ada.look("vscode")
    page.get_by_role("button", name="Remove nobody.nothing").press("Enter")
    expect(row).to_have_count(0, timeout=MILLISECONDS)
    page.get_by_role("button", name="Remove vibebox.hello").press("Enter")
    expect(page.get_by_text("None yet.")).to_be_visible()
    ada.tab("Overview")


def _without_a_stream(ada: Visit) -> None:
    """Load the page again where no stream comes through: what it shows is asked for instead."""
    page = ada.page
    ada.tab("Logs")
    streams = re.compile("/(logs|status)/stream")
    page.route_web_socket(streams, lambda socket: socket.close())
    page.reload()
    expect(page.get_by_text("No live stream to be had")).to_be_visible()
    expect(page.locator("[data-logs=lines]")).to_contain_text("told-42")
    expect(page.locator("#main")).to_have_attribute("data-live", "no")


def _in_two_tabs_at_once(page: Page) -> None:
    """Load the page in two tabs at once: each needs the next refresh token, which works once.

    The second time as over plain HTTP, where browsers lend no locks.
    """
    for script in ("", "Object.defineProperty(navigator, 'locks', { value: undefined })"):
        page.context.add_init_script(script)
        second = page.context.new_page()
        second.goto(page.url, wait_until="commit")
        page.reload(wait_until="commit")
        for tab in (page, second):
            expect(tab.get_by_role("heading", name="billing-api")).to_be_visible()
            expect(tab.locator("[data-show=status]")).to_have_text("running")
        second.close()
    kept = page.evaluate("[navigator.locks, ...Object.keys(localStorage)]")
    assert kept == [None, "vibebox-page-secret"]
    assert page.evaluate("document.cookie") == ""


def _pages_open(day: Day, ada: Visit) -> None:
    """Have many pages open, each with a terminal that works."""
    address = f"{day.server.url}/environments/{ada.page.url.split('/')[4]}/terminal"
    pages = [ada.page.context.new_page() for _ in range(PAGES)]
    visits = [Visit(page, ada.width, Path()) for page in pages]
    for visit in visits:
        visit.page.goto(address)
        visit.terminal("tmux")
    for number, visit in enumerate(visits):
        visit.page.bring_to_front()
        visit.type(f"echo page-{number}-$((40 + 2))", f"page-{number}-42")
        assert visit.complaints == []
    for page in pages:
        page.close()


def _team(day: Day, ada: Visit) -> None:
    """Make a team with a project and a viewer."""
    page = ada.page
    with_name = f"payments-{day.width}"
    with Api(day.server.url) as api:
        api.register(f"vera-{day.width}@example.org")
    ada.go("Teams")
    page.get_by_label("New team").fill("Big Team")
    page.get_by_role("button", name="Make the team").click()
    expect(page.get_by_text("Use lower-case letters, digits and hyphens:")).to_be_visible()
    page.get_by_label("New team").fill(with_name)
    page.get_by_role("button", name="Make the team").click()
    page.get_by_role("link", name=with_name).click()
    expect(page.get_by_role("heading", name=with_name)).to_be_visible()
    page.get_by_label("New project").fill("billing")
    page.get_by_role("button", name="Make the project").click()
    expect(page.get_by_role("link", name="billing")).to_be_visible()
    page.get_by_label("Add an account").fill(f"vera-{day.width}@example.org")
    page.get_by_label("As", exact=True).select_option("developer")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label(f"Role of vera-{day.width}@example.org").select_option("viewer")
    expect(ada.row("vera")).to_be_visible()
    ada.look("team")
    ada.go("Teams")
    expect(ada.row("billing")).to_contain_text(with_name)
    ada.look("teams")
    _create_in_project(ada, day.image)


def _create_in_project(ada: Visit, image: str) -> None:
    page = ada.page
    ada.go("Environments")
    page.get_by_role("button", name="New environment").click()
    page.get_by_label("Name", exact=True).fill("shared")
    page.get_by_label("Image", exact=True).fill(image)
    page.get_by_label("Memory, MiB").fill("64")
    page.get_by_text("More settings").click()
    page.get_by_label("Project", exact=True).last.select_option(label="billing")
    page.get_by_role("button", name="Create", exact=True).click()
    ada.wait_for_status("running")


def _viewer(day: Day, pictures: Path) -> None:
    """See what a viewer sees: nothing is offered that would be refused."""
    vera = day.visit(pictures)
    page = vera.page
    vera.sign_in(day.server.url, f"vera-{day.width}@example.org")
    row = vera.row("shared")
    expect(row).to_contain_text("running")
    expect(row.get_by_role("button")).to_have_count(0)
    page.get_by_role("link", name="shared").click()
    expect(page.get_by_role("heading", name="shared")).to_be_visible()
    expect(page.get_by_role("tab")).to_have_text(["Overview", "Logs", "VS Code"])
    for name in ("Start", "Stop", "Restart", "Pause", "Delete"):
        expect(page.get_by_role("button", name=re.compile(f"^{name}"))).to_have_count(0)
    vera.tab("VS Code")
    expect(page.get_by_role("button", name="Install")).to_be_hidden()
    vera.look("viewer")
    vera.go("Teams")
    page.get_by_role("link", name=re.compile("^payments")).click()
    expect(page.get_by_text("You are viewer.")).to_be_visible()
    expect(page.get_by_role("button", name="Add", exact=True)).to_be_hidden()
    expect(page.get_by_role("button", name="Leave")).to_be_visible()
    assert vera.complaints == []
    page.context.close()


def _keys(ada: Visit) -> None:
    page = ada.page
    ada.go("API keys")
    page.get_by_label("Name", exact=True).fill("ci")
    page.get_by_role("checkbox", name=re.compile("^read")).uncheck()
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_text("Name at least one.")).to_be_visible()
    page.get_by_role("checkbox", name=re.compile("^execute")).check()
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("[data-key]")).to_have_text(re.compile("^vbx_ak_"))
    expect(ada.row("ci")).to_contain_text("execute")
    ada.look("api-keys")
    page.get_by_role("button", name="Revoke ci").click()
    page.get_by_role("button", name="Revoke", exact=True).click()
    expect(page.get_by_text("You have none.")).to_be_visible()


def _account(day: Day, ada: Visit) -> None:
    """Change the password: who is signed in elsewhere is signed out at once."""
    page, new = ada.page, f"{PASSWORD} staple"
    elsewhere = day.visit(Path())
    elsewhere.sign_in(day.server.url, day.email)
    ada.go("Account")
    expect(ada.row("this one")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(3)
    for old, again, said in (
        ("wrong password", new, "password"),
        (PASSWORD, "another one", "This is not what stands above."),
        (PASSWORD, new, "Changed. Your other logins have ended."),
    ):
        page.get_by_label("Present password").fill(old)
        page.get_by_label("New password", exact=True).fill(new)
        page.get_by_label("New password again").fill(again)
        page.get_by_role("button", name="Change the password").click()
        told = page.locator("[data-password] [data-told], [data-saved]").filter(has_text=said)
        expect(told).to_be_visible()
    ada.look("account")
    expect(elsewhere.page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=6000)
    elsewhere.page.context.close()
    elsewhere = day.visit(Path())
    elsewhere.sign_in(day.server.url, day.email, new)
    page.reload()
    ada.row("Console").filter(has_not_text="this one").get_by_role("button").click()
    expect(page.get_by_role("row")).to_have_count(2)
    expect(elsewhere.page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=6000)
    elsewhere.page.context.close()


def _synthetic(day: Day) -> str:
    """Have a synthetic user, as its first round makes it, and return its address."""
    email = f"probe-{day.width}@vibebox.invalid"
    database = Database(day.server.env["DATABASE_URL"])
    with database.writing() as session:
        session.add(User(email=email, password_hash="", is_synthetic=True))
    database.dispose()
    return email


def _operator(day: Day, pictures: Path) -> None:
    """Look after accounts as an operator; others have no such page."""
    operator, vera = f"oz-{day.width}@example.org", f"vera-{day.width}@example.org"
    with Api(day.server.url) as api:
        api.register(operator)
    grant = [sys.executable, "-m", "app.cli", "operators", "grant", operator]
    subprocess.run(grant, env=day.server.env, check=True, capture_output=True)
    visit = day.visit(pictures)
    page = visit.page
    visit.sign_in(day.server.url, operator)
    visit.go("Doctor")
    expect(visit.row("leads; it said so")).to_contain_text("ok")
    expect(page.get_by_text("Nothing is wrong.")).to_be_visible()
    visit.look("doctor")
    page.get_by_role("button", name="Examine again").click()
    expect(page.get_by_role("button", name="Examine again")).to_be_enabled()
    visit.go("Accounts")
    expect(page.get_by_text("Registration is open")).to_be_visible()
    page.get_by_label("Find").fill(_synthetic(day))
    page.get_by_role("button", name=f"Delete probe-{day.width}").click()
    expect(page.get_by_text("its next round makes it again")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_label("Find").fill("vera")
    row = visit.row(vera)
    expect(page.locator("[data-accounts]").get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name=f"Set password {vera}").click()
    page.get_by_label("New password", exact=True).fill("short")
    page.get_by_role("button", name="Set it").click()
    expect(page.get_by_text("Use at least 12 characters.")).to_be_visible()
    page.get_by_label("New password", exact=True).fill(f"{PASSWORD} again")
    page.get_by_role("button", name="Set it").click()
    expect(page.get_by_text(f"The password of {vera} is set.")).to_be_visible()
    page.get_by_role("button", name=f"Limits {vera}").click()
    page.get_by_label("Environments", exact=True).fill("3")
    page.get_by_label("CPU hours in a month").fill("0.5")
    with page.expect_request("**/quota") as asked:
        page.get_by_role("button", name="Set them").click()
    limits = {"environments": 3, "cpus": None, "memory_mb": None}
    assert asked.value.post_data_json == {**limits, "cpu_hours": 0.5, "memory_gib_hours": None}
    expect(page.get_by_text(f"The limits of {vera} are set.")).to_be_visible()
    page.get_by_role("button", name=f"Disable {vera}").click()
    page.get_by_role("button", name="Disable", exact=True).click()
    expect(row).to_contain_text("disabled")
    page.get_by_role("button", name=f"Enable {vera}").click()
    expect(row).to_contain_text("enabled")
    page.get_by_label("Invite somebody").fill("grace@example.org")
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("[data-made] code")
    expect(link).to_have_text(re.compile(r"/sign-in#invitation="))
    expect(visit.row("grace@example.org")).to_contain_text("open")
    visit.look("accounts")
    page.get_by_role("button", name="Revoke grace@example.org").click()
    expect(visit.row("grace@example.org")).to_contain_text("revoked")
    page.get_by_role("button", name=f"Delete {vera}").click()
    page.get_by_label(f"Type {vera} to delete it").fill(vera)
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(row).to_have_count(0)
    assert visit.complaints == []
    page.context.close()


def _on_a_telephone(day: Day, ada: Visit) -> None:
    """Look at every page as it is on a telephone, where the day there is not done."""
    page = ada.page
    telephone = Visit(page, TELEPHONE, ada.pictures)
    page.set_viewport_size({"width": TELEPHONE, "height": SIZES[TELEPHONE]})
    ada.go("Environments")
    telephone.look("list")
    page.get_by_role("link", name="shared").click()
    for name in ("Overview", "Terminal", "Logs", "VS Code", "Settings"):
        telephone.tab(name)
        if name == "Terminal":
            telephone.terminal("tmux")
            # tmux has a line of its own, and gives programs their size a moment later.
            telephone.type("sleep 0.6; stty size", f"{telephone.rows() - 1} ")
        telephone.look(name.lower())
    for name in ("Teams", "API keys", "Account", "Service"):
        telephone.go(name)
        expect(page.get_by_text("Loading …").locator("visible=true")).to_have_count(0)
        telephone.look(name.lower())
    page.set_viewport_size({"width": ada.width, "height": SIZES[ada.width]})


def _service(ada: Visit) -> None:
    ada.go("Service")
    expect(ada.page.locator("[data-health=checks]")).to_contain_text("agent")
    expect(ada.page.locator("[data-health=rate]")).to_contain_text("/ s", timeout=MILLISECONDS)
    ada.look("service")


def _the_end(day: Day, ada: Visit) -> None:
    """Delete what was made, with a question first, and sign out."""
    page = ada.page
    ada.go("Environments")
    expect(ada.row("billing-api")).to_contain_text("running")
    ada.look("list")
    row = ada.row("billing-api")
    row.locator("summary").click()
    row.get_by_role("button", name="Delete billing-api").click()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(day.server.url)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
