"""What the health strip learns from Prometheus, and what it says where that tells nothing."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.stores.http import MOST_BYTES, Store
from app.stores.prometheus import SETTING, PrometheusStore
from app.web.console.monitoring import QUERIES, Monitoring
from tests.backends.programs import free_port, wait_until
from tests.backends.prometheus import Prometheus

ANSWER = {"status": "success", "data": {"resultType": "vector", "result": []}}


class StrangePeer(HTTPServer):
    """Answers every query with `status` and `body`, after `seconds`; notes what was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.seconds = 200, json.dumps(ANSWER), 0.0
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        peer: Any = self.server
        peer.asked.append(self.path)
        time.sleep(peer.seconds)
        self.send_response(peer.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(peer.body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def peer() -> Iterator[StrangePeer]:
    with closing(StrangePeer()) as peer:
        yield peer


@pytest.fixture
def monitoring() -> Iterator[Callable[..., Monitoring]]:
    """A factory with the arguments of `Monitoring`, by the address of its Prometheus."""
    made: list[Monitoring] = []

    def make(url: str | None, **named: Any) -> Monitoring:
        store = None if url is None else PrometheusStore(Store(SETTING, url))
        made.append(Monitoring(store, **named))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_two_questions_and_no_answer_to_them(
    peer: StrangePeer, monitoring: Callable[..., Monitoring]
) -> None:
    found = monitoring(f"{peer.url}/").read()

    assert found == {
        "request_rate": None,
        "latency_seconds": None,
        "reason": None,
    }
    assert len(peer.asked) == len(QUERIES) == 2
    assert all(path.startswith("/api/v1/query?query=") for path in peer.asked)


def test_value_that_is_no_number_is_none(
    peer: StrangePeer, monitoring: Callable[..., Monitoring]
) -> None:
    series = {"metric": {"alertname": "x"}, "value": [0, "NaN"]}
    peer.body = json.dumps({"data": {"resultType": "vector", "result": [series]}})
    found = monitoring(peer.url).read()

    assert found["latency_seconds"] is None


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, "", "answers with status 500"),
        (302, "", "answers with status 302; look at the address"),
        (200, "<html>", "does not speak"),
        (200, "[]", "does not speak"),
        (200, '{"data": {"resultType": "vector", "result": [1]}}', "does not speak"),
        (200, "[" * 100_000, "does not speak"),
        (200, " " * (MOST_BYTES + 1), "answers with more than is read of it"),
    ],
)
def test_strange_answer_is_told(
    peer: StrangePeer, monitoring: Callable[..., Monitoring], status: int, body: str, why: str
) -> None:
    peer.status, peer.body = status, body
    found = monitoring(peer.url).read()

    assert found["reason"].startswith(f"Prometheus ({SETTING}) {why}")
    assert not any("elsewhere" in path for path in peer.asked)


def test_silence_is_told_and_never_the_address(monitoring: Callable[..., Monitoring]) -> None:
    found = monitoring(f"http://ada:geheim@127.0.0.1:{free_port()}").read()

    assert found["reason"] == (
        f"Prometheus ({SETTING}) does not answer; start it, or correct that address."
    )


def test_slow_answer_is_not_waited_for(
    peer: StrangePeer, monitoring: Callable[..., Monitoring]
) -> None:
    peer.seconds = 0.6
    slow = monitoring(peer.url, seconds=0.2)
    started = time.monotonic()
    reasons = [slow.read()["reason"] for _ in range(5)]
    elapsed = time.monotonic() - started

    assert all("did not answer in time" in reason for reason in reasons)
    # Five readers wait for the one question that is under way, not for five.
    assert len(peer.asked) < 5
    assert elapsed < 5 * peer.seconds


@pytest.mark.integration
def test_figures_of_a_real_prometheus(
    prometheus: Callable[..., Prometheus], monitoring: Callable[..., Monitoring], tmp_path: Path
) -> None:
    rates = [
        {
            "record": "vibebox_http_requests_total",
            "expr": f"vector({many} * time())",
            "labels": {"job": job},
        }
        for job, many in (("vibebox-backend", 1), ("other", 1000))
    ]
    rules = tmp_path / "rules.yml"
    rules.write_text(json.dumps({"groups": [{"name": "x", "rules": rates}]}))
    server = prometheus([], extra_config=f"rule_files: [{rules}]\n")
    asked = monitoring(server.url, seconds=10)
    wait_until(lambda: asked.read()["request_rate"] is not None, 30)
    found = asked.read()

    assert 0 < found["request_rate"] < 1.5, "over five minutes, of which most are missing"
    assert (found["latency_seconds"], found["reason"]) == (None, None)
