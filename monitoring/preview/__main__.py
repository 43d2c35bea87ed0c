"""`python -m monitoring.preview`: shows dashboards in a browser, or takes pictures of them."""

import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import click
from playwright.sync_api import Page, sync_playwright

from monitoring.preview.site import build, served

ROOT = Path(__file__).parents[2]
DASHBOARDS = ROOT / "monitoring" / "grafana" / "dashboards"
PLACE = ROOT / "build" / "preview"
DRAWING_TIMEOUT = 60_000
"""Milliseconds for a dashboard: its queries, and the drawing."""

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIRECTORY = click.Path(file_okay=False, path_type=Path)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("boards", nargs=-1, type=_FILE, metavar="[FILE]...")
@click.option("--prometheus", default="http://127.0.0.1:9090", show_default=True, metavar="URL")
@click.option("--range", "shown", default="1h", show_default=True, help="Time shown.")
@click.option("--until", type=float, metavar="SECONDS", help="Its end since 1970 (default: now).")
@click.option("--interval", default="15s", show_default=True, help="Scrape interval.")
@click.option("--width", default=1600, show_default=True, help="Width in pixels.")
@click.option("--theme", default="dark", type=click.Choice(("dark", "light")), show_default=True)
@click.option("--pictures", type=_DIRECTORY, help="Write a PNG of each dashboard there and end.")
@click.option("--port", default=0, help="Port of the site (default: a free one).")
def main(
    boards: Sequence[Path],
    prometheus: str,
    shown: str,
    until: float | None,
    interval: str,
    width: int,
    theme: str,
    pictures: Path | None,
    port: int,
) -> None:
    """Draw dashboards from a live Prometheus with Grafana's own components.

    FILE is a dashboard's JSON; those of VibeBox if none is named. With --pictures the exit code is
    1 when a panel is empty or cannot be drawn.
    """
    files = list(boards) or sorted(DASHBOARDS.glob("*.json"))
    site = build(PLACE)
    for file in files:
        shutil.copy(file, site)
    asked = {
        "prometheus": prometheus,
        "range": shown,
        "interval": interval,
        "width": width,
        "theme": theme,
        **({} if until is None else {"to": until}),
    }
    with served(site, port) as origin:
        pages = {
            file.stem: f"{origin}/index.html?{urlencode({'board': file.name, **asked})}"
            for file in files
        }
        if pictures is None:
            click.echo("\n".join([*pages.values(), "Ctrl-C ends it."]))
            signal.pause()
        else:
            sys.exit(_take(pages, pictures, width))


def _take(pages: dict[str, str], directory: Path, width: int) -> int:
    """Write a picture of each page, and tell what is missing on them; return an exit code."""
    directory.mkdir(parents=True, exist_ok=True)
    problems = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": width, "height": 900})
        for name, address in pages.items():
            file = directory / f"{name}.png"
            found = _shot(page, address, file)
            problems += len(found)
            click.echo("\n  ".join([f"{file}: {len(found)} problems", *found]))
        browser.close()
    return 1 if problems else 0


def _shot(page: Page, address: str, file: Path) -> list[str]:
    """Draw a dashboard, write its picture and return what is wrong on it."""
    page.goto(address, timeout=DRAWING_TIMEOUT)
    page.wait_for_function("window.preview?.done", timeout=DRAWING_TIMEOUT)
    page.screenshot(path=file, full_page=True)
    found: list[str] = page.evaluate("window.preview.problems")
    return found


if __name__ == "__main__":
    main(prog_name="python -m monitoring.preview")
