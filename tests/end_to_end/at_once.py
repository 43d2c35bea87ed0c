"""Many requests in the same moment."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import requests

Request = tuple[str, str, Any]
"""Method, URL and body."""


def send(wanted: Sequence[Request], token: str = "") -> list[requests.Response]:
    """Send all of them at once, each on a connection of its own, and return their answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return together(
        [
            partial(requests.request, method, url, json=body, headers=headers, timeout=60)
            for method, url, body in wanted
        ]
    )


def together(calls: Sequence[Callable[[], requests.Response]]) -> list[requests.Response]:
    """Make the calls in threads that begin when all of them are there."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], requests.Response]) -> requests.Response:
        start.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
