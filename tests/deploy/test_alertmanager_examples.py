"""The examples of receivers and routes: Alertmanager takes them, and tells whom they say."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.backends import signal_stores
from tests.backends.alertmanager import PROGRAM, Alertmanager, amtool
from tests.backends.programs import wait_until
from tests.backends.prometheus import Prometheus, promtool
from tests.conftest import require
from tests.monitoring.routing import CONFIG

pytestmark = pytest.mark.integration
DEPLOY = Path(__file__).parents[2] / "deploy"
DIRECTORY = DEPLOY / "alertmanager"
SECRETS = "/etc/alertmanager/secrets/"
NAMES = sorted(path.name for path in DIRECTORY.glob("*.yml"))
ROUTES = {
    "chat.yml": [
        ({"severity": "critical"}, ["ntfy", "teams"]),
        ({"severity": "critical", "component": "auth"}, ["ntfy", "teams", "telegram"]),
        ({"severity": "warning", "component": "auth"}, ["telegram", "mattermost"]),
        ({"severity": "info"}, ["mattermost"]),
    ],
    "heartbeat.yml": [
        ({"alertname": "Watchdog"}, ["heartbeat"]),
        ({"alertname": "ServiceDown", "severity": "critical"}, ["nobody"]),
    ],
    "teams.yml": [
        ({"severity": "critical"}, ["operators"]),
        ({"severity": "warning", "team": "research"}, ["team-research"]),
        ({"severity": "critical", "team": "platform"}, ["operators", "team-platform"]),
        ({"severity": "warning", "team": "another"}, ["operators"]),
    ],
}


def newer(name: str) -> str:
    """Return the program of Debian's testing release: 0.25 knows few of these receivers."""
    require("Alertmanager 0.33", signal_stores.missing_newer(name))
    return str(shutil.which(name, path=signal_stores.newer_path()))


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DIRECTORY / name).read_text())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_amtool_accepts_it_and_routes_as_it_says(name: str) -> None:
    program, file = newer("amtool"), str(DIRECTORY / name)
    checked = amtool("check-config", file, program=program)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for labels, receivers in ROUTES[name]:
        told = [f"{key}={value}" for key, value in labels.items()]
        found = amtool("config", "routes", "test", f"--config.file={file}", *told, program=program)
        assert found.stdout.strip().split(",") == receivers, (labels, found.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_secrets_are_files(name: str) -> None:
    def walk(node: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(node, dict):
            for key, value in node.items():
                yield key, value
                yield from walk(value)
        elif isinstance(node, list):
            for one in node:
                yield from walk(one)

    pairs = [pair for pair in walk(read(name)) if isinstance(pair[1], str)]
    files = [value for key, value in pairs if key.endswith("_file")]
    assert files and all(value.startswith(SECRETS) for value in files)
    secret = ("url", "webhook_url", "bot_token", "credentials", "smtp_auth_password")
    shown = [value for key, value in pairs if key in secret]
    assert set(shown) <= {"http://backend:3000/api/v1/alerts"}


def test_the_outside_hears_of_the_heartbeat_as_the_service_does() -> None:
    shipped = CONFIG["route"]["routes"][0]
    assert read("heartbeat.yml")["route"]["routes"] == [shipped]
    ours, outside = read("heartbeat.yml")["receivers"][1]["webhook_configs"]
    (theirs,) = next(it for it in CONFIG["receivers"] if it["name"] == "heartbeat")[
        "webhook_configs"
    ]
    assert ours == theirs
    assert outside == {"url_file": f"{SECRETS}heartbeat_url", "send_resolved": False}


def test_promtool_accepts_the_alerts_of_teams() -> None:
    require("Prometheus", Prometheus.installed())
    result = promtool("check", "rules", str(DEPLOY / "prometheus" / "team-alerts.yml"))
    assert result.returncode == 0, result.stdout + result.stderr


class Sink:
    """Takes whatever is posted, and keeps it by its path."""

    def __init__(self) -> None:
        self.told: dict[str, str] = {}
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                told[self.path] = body
                answer = b'{"ok": true, "result": {"message_id": 1, "chat": {"id": 1}}}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # joined at the end
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_each_chat_is_sent_the_alert_with_its_links(tmp_path: Path) -> None:
    program, sink = newer(PROGRAM), Sink()
    text = (DIRECTORY / "chat.yml").read_text().replace(SECRETS, f"{tmp_path}/")
    config = yaml.safe_load(text)
    for name in ("teams_url", "mattermost_url", "ntfy_url"):
        (tmp_path / name).write_text(f"{sink.url}/{name}")
    for name in ("telegram_token", "ntfy_token"):
        (tmp_path / name).write_text("secret")
    (telegram,) = next(it for it in config["receivers"] if it["name"] == "telegram")[
        "telegram_configs"
    ]
    telegram["api_url"] = sink.url
    config["route"]["group_wait"] = "10ms"
    notes = {
        "summary": "Somebody guesses passwords",
        "description": "Ten a second.",
        "explanation_url": "https://vibebox.example.org/service?explain=X",
        "runbook_url": "https://runbooks.example.org/X.md",
        "dashboard_url": "https://grafana.example.org/d/x",
    }
    paths = {"/teams_url", "/mattermost_url", "/ntfy_url", "/botsecret/sendMessage"}
    manager = Alertmanager(json.dumps(config), program=program)
    try:
        for severity in ("critical", "warning"):
            manager.post({"alertname": "X", "severity": severity, "component": "auth"}, notes)
        wait_until(lambda: paths <= set(sink.told), 20, 0.05, lambda: str(sink.told))
    finally:
        manager.close()
        sink.close()
    for path, body in sink.told.items():
        assert notes["summary"] in body and "?explain=X" in body, (path, body)
        assert notes["runbook_url"] in body, (path, body)
