"""A real browser without a window: the system's Chromium, driven by Playwright."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Error as PlaywrightError

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def missing_browser() -> str | None:
    """Return in words what is missing to run a browser here, or None."""
    return None if shutil.which("chromium") else "chromium is not installed"


_SEEN = """() => ({
    text: document.body.innerText.slice(0, 2000),
    fetched: performance.getEntriesByType("resource").slice(-40)
        .map((one) => [one.name, one.responseStatus, Math.round(one.duration)].join(" ")),
})"""


def _print_pages(browser: Browser) -> None:
    """Say what a browser showed when a test failed, and what it had fetched."""
    for page in [page for context in browser.contexts for page in context.pages]:
        try:
            print(f"--- {page.url}: {json.dumps(page.evaluate(_SEEN), indent=1)}")
        except PlaywrightError as error:
            print(f"--- {page.url}: {error}")


@contextmanager
def browser() -> Iterator[Browser]:
    """Run a browser for the block."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        try:
            yield running
        except Exception:
            _print_pages(running)
            raise
        finally:
            running.close()
