"""Many requests in the same moment."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import requests

Request = tuple[str, str, Any]
"""Method, URL and body."""
_MOMENT_SECONDS = 5


def send(wanted: Sequence[Request], token: str = "") -> list[requests.Response]:
    """Send all of them at once, each on a connection of its own, and return their answers.

    What is beyond a share at the moment is tried again, as any client does; who has to wait for
    longer is answered.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return together([partial(_send, one, headers) for one in wanted])


def _send(wanted: Request, headers: dict[str, str]) -> requests.Response:
    method, url, body = wanted
    while True:
        answer = requests.request(method, url, json=body, headers=headers, timeout=60)
        pause = float(answer.headers.get("Retry-After", 0))
        if answer.status_code != 429 or pause > _MOMENT_SECONDS:
            return answer
        time.sleep(pause)


def together(calls: Sequence[Callable[[], requests.Response]]) -> list[requests.Response]:
    """Make the calls in threads that begin when all of them are there."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], requests.Response]) -> requests.Response:
        start.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
