"""The console in a real browser, from the sign-in page to a command in a fresh environment."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import WebServerFactory, require
from tests.end_to_end.api import PASSWORD
from tests.services import http
from tests.services.agent import Agent
from tests.services.browser import browser, missing_browser
from tests.services.code_server import package
from tests.services.docker_engine import DockerEngine
from tests.services.host_image import import_host_image, missing_programs
from tests.services.postgresql import PostgreSQL
from tests.services.prometheus import Prometheus
from tests.services.web import WebServer
from tests.sizes import size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

PATIENCE = 30.0
MILLISECONDS = PATIENCE * 1000
AXE = Path(__file__).parent / "axe" / "axe.min.js"
_FAULTS = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations
    .filter((one) => one.impact === "serious" || one.impact === "critical")
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" | ")}`);
}"""
POLLED_AFTER = 2.5
"""Seconds after which a list without a stream is asked for again, and a little more."""
SIZES = {1280: 860, 375: 812}


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
def image(docker_engine: DockerEngine) -> str:
    with docker_engine.client() as client:
        return import_host_image(client)


class Visit:
    """Somebody in front of the console, with a browser of a width; looks for faults on the way."""

    def __init__(self, page: Page, width: int, pictures: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._name = f"{width}"
        self._pictures = pictures
        page.set_default_timeout(MILLISECONDS)
        page.on("console", lambda message: self._note(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, text: str) -> None:
        if "Content Security Policy" in text:
            self.complaints.append(text)

    def look(self, what: str) -> None:
        """Take pictures in both colour schemes, and let axe and the width be judged in both."""
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            file = self._pictures / f"{what}-{self._name}-{scheme}.png"
            self.page.screenshot(path=file, full_page=True)
            self.page.evaluate(AXE.read_text())
            assert self.page.evaluate(_FAULTS) == [], f"{what}, {scheme}"
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(wider) == 0, f"{what} is wider than the window"

    def sign_up(self, url: str, email: str) -> None:
        self.page.goto(url)
        self.page.get_by_label("E-mail address").fill(email)
        self.look("sign-in")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Create an account").click()
        expect(self.page.get_by_text("You have no environments yet.")).to_be_visible()

    def create(self, name: str, image: str) -> None:
        """Create an environment by keyboard, as far as that goes, and wait until it runs."""
        self.page.get_by_role("button", name="New environment").focus()
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_label("Name")).to_be_focused()
        self.page.keyboard.type(name)
        self.page.get_by_label("Image", exact=True).fill(image)
        self.page.get_by_label("Memory, MiB").fill("64")
        self.page.get_by_label("Ports to publish").fill("8000")
        self.look("create")
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("heading", name=name)).to_be_visible()
        self.wait_for_status("running")

    def wait_for_status(self, status: str) -> None:
        expect(self.page.locator("[data-show=status]")).to_have_text(status, timeout=MILLISECONDS)

    def type_in_terminal(self, command: str, answer: str) -> None:
        self.page.keyboard.type(f"{command}\n")
        expect(self.page.locator(".xterm-rows")).to_contain_text(answer, timeout=MILLISECONDS)


@pytest.fixture
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


def test_from_sign_in_to_a_command(
    server: WebServer, image: str, chromium: Browser, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for width, height in SIZES.items():
        with subtests.test(f"{width} px"):
            context = chromium.new_context(viewport={"width": width, "height": height})
            visit = Visit(context.new_page(), width, tmp_path)
            _visit(visit, width, server, image)
            assert visit.complaints == []
            context.close()
    token = 'vibebox_http_requests_total{method="POST",route="/console/sign-in",status_code="200"}'
    assert f"{token} {len(SIZES)}.0" in http.get(f"{server.url}/health/metrics").text


def _visit(visit: Visit, width: int, server: WebServer, image: str) -> None:
    page = visit.page
    # What does not depend on the width is done in one, or in both with FULL.
    thorough = width == max(SIZES) or size(False, True)
    visit.sign_up(server.url, f"ada-{width}@example.org")
    visit.create("billing-api", image)
    expect(page.get_by_text("8000 on port ")).to_be_visible()

    page.get_by_role("button", name="New shell").click()
    expect(page.get_by_text("Connected to ")).to_be_visible()
    visit.type_in_terminal("echo $((6 * 7))-typed", "42-typed")
    visit.type_in_terminal("stty size", _size(page))
    visit.type_in_terminal("printf '\\e[38;2;255;120;0mcolour\\e[0m\\n'", "colour")
    coloured = page.locator(".xterm-rows span", has_text="colour").last
    expect(coloured).to_have_css("color", "rgb(255, 120, 0)")
    visit.type_in_terminal("echo told-$((40 + 2)) > /proc/1/fd/1; echo done-$((1 + 1))", "done-2")
    expect(page.locator("[data-logs=lines]")).to_contain_text("told-42", timeout=MILLISECONDS)
    expect(page.locator("[data-health=rate]")).to_contain_text("/ s", timeout=MILLISECONDS)
    if thorough:
        _extensions(page)
    visit.look("environment")
    page.locator(".shell textarea").focus()
    page.keyboard.press("Shift+Tab")
    expect(page.locator(".shell :focus")).to_have_count(0)
    page.get_by_role("button", name="tmux").click()
    expect(page.get_by_text("It stays when you leave.")).to_be_visible()
    visit.type_in_terminal("echo $((7 * 7))-kept", "49-kept")

    # Half of what renews the login, and worth nothing without the cookie; no token.
    assert page.evaluate("Object.keys(localStorage)") == ["vibebox-page-secret"]
    assert page.evaluate("sessionStorage.length") == 0
    assert page.evaluate("document.cookie") == ""
    if thorough:
        _remove_extension(page)
        _live(page)
        _without_a_stream(page)
        _in_two_tabs_at_once(page)
    page.get_by_role("button", name="Stop").click()
    visit.wait_for_status("stopped")
    expect(page.get_by_text("stopped by request")).to_be_visible()
    page.get_by_role("link", name="All environments").click()
    expect(page.get_by_role("row").filter(has_text="billing-api")).to_contain_text("stopped")
    visit.look("list")
    page.get_by_role("button", name="Delete billing-api").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("You have no environments yet.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(server.url)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


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


def _extensions(page: Page) -> None:
    """Ask for what the image cannot have: the page says so, and why."""
    page.get_by_role("button", name="Open VS Code").click()
    expect(page.get_by_text("The image holds no VS Code server")).to_be_visible()
    page.get_by_label("Extension", exact=True).fill("no name")
    page.keyboard.press("Enter")
    expect(page.locator("[data-extensions] [data-problem]")).to_contain_text("id:")
    page.get_by_label("Package").set_input_files(
        {"name": "hello.vsix", "mimeType": "application/zip", "buffer": package()}
    )
    row = page.get_by_role("row").filter(has_text="vibebox.hello")
    expect(row).to_contain_text("failed", timeout=MILLISECONDS)
    expect(row).to_contain_text("exit code 127")
    page.get_by_label("Extension", exact=True).fill("nobody.nothing")
    page.keyboard.press("Enter")
    row = page.get_by_role("row").filter(has_text="nobody.nothing")
    expect(row).to_contain_text("failed", timeout=MILLISECONDS)
    page.get_by_role("button", name="Remove nobody.nothing").press("Enter")
    expect(row).to_have_count(0, timeout=MILLISECONDS)


def _remove_extension(page: Page) -> None:
    page.get_by_role("button", name="Remove vibebox.hello").press("Enter")
    expect(page.get_by_text("None yet.")).to_be_visible()


def _without_a_stream(page: Page) -> None:
    """Load the page again where no stream comes through: what it shows is asked for instead."""
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


def _size(page: Page) -> str:
    """Return rows as the page shows them, as `stty size` begins its answer."""
    return f"{page.locator('.xterm-rows > div').count()} "
