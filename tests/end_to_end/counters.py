"""Watches the counters of a server while things happen to it."""

import re
import threading
import time

import requests

from tests.backends import http
from tests.backends.web import WebServer

_PAUSE = 0.1


def scrape_text(server: WebServer) -> str:
    """Return the text of one scrape."""
    response = http.get(f"{server.url}/health/metrics")
    response.raise_for_status()
    return response.text


def shown(server: WebServer, name: str) -> float | None:
    """Return one series, as written; None while nobody answers, or does not show it.

    Much cheaper than parsing the whole scrape, for tests that poll.
    """
    try:
        found = re.search(rf"^{re.escape(name)} (\S+)$", scrape_text(server), re.MULTILINE)
    except requests.RequestException:
        return None
    return float(found[1]) if found else None


def counters(text: str) -> dict[str, float]:
    """Return what may only rise, by series as written: counters and histograms.

    Read line by line: the client library's parser takes longer than the scrape.
    """
    found: dict[str, float] = {}
    rises = False
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            rises = line.endswith((" counter", " histogram"))
        elif rises and not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            found[series] = float(value)
    return found


class Since:
    """What a server that was there before has counted since now."""

    def __init__(self, server: WebServer) -> None:
        self._server = server
        self._before = server.metrics()

    def metric(self, name: str, **labels: str) -> float:
        """Return by how much the sum of the samples with that name and those labels has moved."""
        wanted = labels.items()
        before = (
            value for (found, has), value in self._before.items() if found == name and wanted <= has
        )
        return self._server.metric(name, **labels) - sum(before)


class Watch:
    """Scrapes in a thread for as long as the block, and notes every counter that falls or goes.

    A scrape that is not answered, since the worker that would have is killed, tells nothing.
    """

    def __init__(self, server: WebServer) -> None:
        self.faults: list[str] = []
        self.scrapes = 0
        self._server = server
        self._last: dict[str, float] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(_PAUSE):
            try:
                text = scrape_text(self._server)
            except requests.RequestException:
                continue
            self._compare(counters(text))

    def _compare(self, now: dict[str, float]) -> None:
        self.scrapes += 1
        for series, before in self._last.items():
            after = now.get(series)
            if after is None or after < before:
                self.faults.append(f"{time.strftime('%X')} {series}: {before!r} then {after!r}")
        self._last = now
