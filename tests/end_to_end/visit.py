"""Somebody in front of the console, with a browser of a width."""

import hashlib
import random
import re
import string
from pathlib import Path

from playwright.sync_api import Locator, Page, Response, expect

from tests.end_to_end.api import PASSWORD
from tests.sizes import FULL, size

PATIENCE = 30.0
MILLISECONDS = PATIENCE * 1000
AXE = Path(__file__).parent / "axe" / "axe.min.js"
_FAULTS = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations
    .filter((one) => one.impact === "serious" || one.impact === "critical")
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" | ")}`);
}"""
# As a person pastes: the browser hands the text to the page, whatever had it before.
_PASTE = """(text) => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  const event = { clipboardData: data, bubbles: true, cancelable: true };
  document.querySelector(".shell textarea").dispatchEvent(new ClipboardEvent("paste", event));
}"""


class Visit:
    """Drives a page, and looks for faults on the way."""

    def __init__(self, page: Page, width: int, pictures: Path) -> None:
        self.page = page
        self.width = width
        self.complaints: list[str] = []
        self.pictures = pictures
        page.set_default_timeout(MILLISECONDS)
        page.on("console", lambda message: self._note(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("response", self._judge)

    def _note(self, text: str) -> None:
        if "Content Security Policy" in text:
            self.complaints.append(text)

    def _judge(self, response: Response) -> None:
        """Nobody is offered what is refused then."""
        if response.status == 403:
            self.complaints.append(f"403 {response.request.method} {response.url}")

    def look(self, what: str) -> None:
        """Take a picture, and let axe and the width be judged; in both colour schemes with FULL."""
        wide = self.width > 600
        for scheme in size(("light",) if wide else ("dark",), ("light", "dark")):
            self.page.emulate_media(color_scheme=scheme)
            file = self.pictures / f"{what}-{self.width}-{scheme}.png"
            if FULL:
                self.page.screenshot(path=file, full_page=True)
            if not self.page.evaluate("() => 'axe' in window"):  # a new document
                self.page.evaluate(AXE.read_text())
            assert self.page.evaluate(_FAULTS) == [], f"{what}, {scheme}"
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(wider) == 0, f"{what} is wider than the window"

    def sign_up(self, url: str, email: str) -> None:
        """Make an account, and be signed in with it."""
        self.page.goto(url)
        expect(self.page.get_by_label("E-mail address")).to_be_focused()
        self.page.keyboard.type(email)
        self.look("sign-in")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Create an account").click()
        expect(self.page.get_by_role("heading", name="Environments")).to_be_visible()

    def sign_in(self, url: str, email: str, password: str = PASSWORD) -> None:
        """Sign in with an account that there is."""
        self.page.goto(f"{url}/sign-in")
        # Not before the scripts are there: a page of which one did not come is loaded again.
        expect(self.page.get_by_role("button", name="Sign in")).to_be_enabled()
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", name="Environments")).to_be_visible()

    def create(self, name: str, image: str) -> None:
        """Create an environment by keyboard, as far as that goes, and wait until it runs."""
        self.page.get_by_role("button", name="New environment").focus()
        self.page.keyboard.press("Enter")
        named = self.page.get_by_label("Name", exact=True)
        expect(named).to_be_focused()
        self.page.keyboard.type("No Name")
        self.page.get_by_label("Image", exact=True).fill(image)
        self.page.get_by_label("Memory, MiB").fill("64")
        self.page.get_by_label("Ports to publish").fill("8000")
        self.page.keyboard.press("Enter")
        expect(named).to_have_attribute("aria-invalid", "true")
        expect(self.page.get_by_text("Use lower-case letters, digits and hyphens:")).to_be_visible()
        expect(named).to_be_focused()
        self.look("create")
        named.fill(name)
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("heading", name=name)).to_be_visible()
        self.wait_for_status("running")

    def wait_for_status(self, status: str) -> None:
        expect(self.page.locator("[data-show=status]")).to_have_text(status, timeout=MILLISECONDS)

    def tab(self, name: str) -> None:
        """Open a tab of the environment's page."""
        self.page.get_by_role("tab", name=name).click()

    def terminal(self, kind: str) -> None:
        """Open a terminal, and wait until it can be typed in."""
        self.page.get_by_role("button", name=kind, exact=True).first.click()
        expect(self.page.get_by_text("Connected to ")).to_be_visible(timeout=MILLISECONDS)

    @property
    def screen(self) -> Locator:
        """What the terminal shows."""
        return self.page.locator(".xterm-rows")

    def type(self, command: str, answer: str) -> None:
        """Type a command into the terminal, and wait for its answer."""
        self.page.keyboard.type(f"{command}\n")
        expect(self.screen).to_contain_text(answer, timeout=MILLISECONDS)

    def rows(self) -> int:
        return self.screen.locator("> div").count()

    def paste(self, length: int) -> str:
        """Paste lines of so many bytes together, and return their digest (SHA-256)."""
        lines = random.Random(length).choices(string.ascii_letters, k=length)
        lines[79::80] = "\n" * len(lines[79::80])
        text = "".join(lines)
        self.page.evaluate(_PASTE, text)
        return hashlib.sha256(text.encode()).hexdigest()

    def row(self, text: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("row").filter(has_text=text)

    def go(self, name: str) -> None:
        """Go to a place by the links at the top."""
        self.page.locator(".top").get_by_role("link", name=name).click()
