"""What the console's login is worth to a page on another port of its host, in a real browser."""

import http.server
import threading
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.backends.browser import browser, missing_browser
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory
from tests.end_to_end.api import PASSWORD

pytestmark = pytest.mark.end_to_end
MILLISECONDS = 30_000
NAME = "vibebox_console"
_NOTHING_READ = """
  async (url) => {
    const read = [document.cookie, ...Object.keys(localStorage)];
    const asked = ["/console/token", "/api/v1/auth/me"].map((path) =>
      fetch(url + path, { method: "POST", credentials: "include", body: '{"page_secret": null}' })
        .then((response) => response.text(), () => ""));
    const frame = document.createElement("iframe");
    frame.src = url;
    document.body.append(frame);
    await new Promise((done) => (frame.onload = done));
    try { read.push(frame.contentWindow.localStorage.length); } catch { read.push("refused"); }
    return [...read, ...await Promise.all(asked)];
  }
"""


class Thief:
    """A page as an environment may serve it, on another port; keeps the cookies it is sent."""

    def __init__(self) -> None:
        cookies = self.cookies = set[str]()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                cookies.add(self.headers.get("Cookie", ""))
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Set-Cookie", f"{NAME}=forged; Path=/console/token")
                self.end_headers()
                self.wfile.write(b"<title>app</title><body><img src=/console/x></body>")

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def thief() -> Iterator[Thief]:
    thief = Thief()
    yield thief
    thief.close()


@pytest.fixture
def page() -> Iterator[Page]:
    if (missing := missing_browser()) is not None:
        pytest.skip(missing)
    with browser() as chromium:
        page = chromium.new_context().new_page()
        page.set_default_timeout(MILLISECONDS)
        yield page


def _sign_up(page: Page, server: WebServer) -> None:
    page.goto(server.url)
    page.get_by_label("E-mail address").fill("ada@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create an account").click()
    expect(page.get_by_text("You have no environments yet.")).to_be_visible()


def test_page_on_another_port_gets_a_cookie_that_is_worth_nothing(
    web_server: WebServerFactory, thief: Thief, page: Page
) -> None:
    server = web_server()
    _sign_up(page, server)
    # No agent runs beside it here.
    expect(page.locator("#trouble")).to_contain_text("The agent is not at work")
    other = page.context.new_page()
    other.goto(thief.url, wait_until="networkidle")

    read = other.evaluate(_NOTHING_READ, server.url)
    assert read == ["", "refused", "", ""], "what the other page read"
    (stolen,) = [
        part.split("=", 1)[1]
        for sent in thief.cookies
        for part in sent.split("; ")
        if part.startswith(NAME) and not part.endswith("forged")
    ]
    _use(server.url, stolen)

    # The forged cookie is sent before ours, and a second tab renews beside the first.
    second = page.context.new_page()
    second.goto(server.url, wait_until="commit")
    page.reload(wait_until="commit")
    for tab in (page, second):
        expect(tab.get_by_text("You have no environments yet.")).to_be_visible()


def _use(url: str, stolen: str) -> None:
    """Try the stolen cookie wherever a credential is taken."""
    cookie, own = {"Cookie": f"{NAME}={stolen}"}, {"Origin": url}
    api = f"{url}/api/v1/auth"

    def status(method: str, address: str, **named: object) -> int:
        return requests.request(method, address, timeout=10, **named).status_code  # type: ignore[arg-type]

    assert status("POST", f"{api}/refresh", json={"refresh_token": stolen}) == 401
    assert status("GET", f"{api}/me", headers={"Authorization": f"Bearer {stolen}"}) == 401
    assert status("GET", f"{api}/me", headers=cookie) == 401
    for body in (None, {}, {"page_secret": None}, {"page_secret": stolen}, {"page_secret": ""}):
        tried = status("POST", f"{url}/console/token", headers={**cookie, **own}, json=body)
        assert tried in (401, 422), body
    assert status("POST", f"{url}/console/sign-out", headers={**cookie, **own}) == 401
