"""The real Prometheus and promtool."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.backends.programs import ServiceError, free_port
from tests.backends.prometheus import Prometheus, promtool

pytestmark = pytest.mark.integration


class Metrics(BaseHTTPRequestHandler):
    """Exposes one gauge to whoever has the token."""

    def do_GET(self) -> None:
        allowed = self.headers["Authorization"] == "Bearer secret"
        self.send_response(200 if allowed and self.path == "/health/metrics" else 403)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b'answer{of="everything"} 42\n')

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def target() -> Iterator[str]:
    """Address of a tiny service with metrics."""
    with HTTPServer(("127.0.0.1", 0), Metrics) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_scrapes_applies_rules_and_answers_queries(
    prometheus: Callable[..., Prometheus], target: str, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: g, rules: [{record: doubled, expr: 2 * answer}]}]")
    server = prometheus(
        [target, f"127.0.0.1:{free_port()}"],
        bearer_token="secret",
        extra_config=f"rule_files: [{rules}]",
        flags=["--enable-feature=exemplar-storage"],
    )
    labels = {"instance": target, "job": "vibebox-backend", "of": "everything"}
    assert server.wait_for("answer") == [({"__name__": "answer", **labels}, 42.0)]
    assert server.wait_for("doubled")[0][1] == 84
    assert server.query("scalar(answer) + 1") == [({}, 43.0)]
    assert server.query("absent_metric") == []
    server.wait_for("up", lambda result: {value for _, value in result} == {0.0, 1.0})
    assert sorted(it["health"] for it in server.targets()) == ["down", "up"]
    with pytest.raises(ServiceError, match="refused"):
        server.wait_for("absent_metric", timeout=0.2)
    assert promtool("check", "config", str(server.config_file)).returncode == 0


def test_wrong_configuration_is_reported_with_the_log(
    prometheus: Callable[..., Prometheus],
) -> None:
    with pytest.raises(ServiceError, match="nonsense"):
        prometheus([], extra_config="nonsense: 1")


def test_promtool_judges_metrics() -> None:
    if Prometheus.installed():
        pytest.skip("promtool is not installed")
    assert promtool("check", "metrics", stdin="# HELP a A.\n# TYPE a gauge\na 1\n").returncode == 0
    assert promtool("check", "metrics", stdin="no metrics").returncode != 0
