"""The blackbox exporter, asked as the jobs ask it, sees the four health routes."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.backends import http
from tests.backends.programs import Program, free_port
from tests.backends.web import WebServer
from tests.conftest import WebServerFactory, require

pytestmark = pytest.mark.integration
DEPLOY = Path(__file__).parents[2] / "deploy"
PROGRAM, TOKEN = "prometheus-blackbox-exporter", "for-scrapers"
TOKEN_FILE = "/etc/blackbox/secrets/metrics_token"
ROUTES = ["/health", "/health/live", "/health/ready", "/health/metrics"]
Probe = Callable[[str, str], bool]


def jobs() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(
        (DEPLOY / "prometheus" / "blackbox.yml").read_text()
    )["scrape_configs"]
    return found


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Probe]:
    """Asks a real exporter with the shipped modules whether a target is well."""
    missing = None if shutil.which(PROGRAM) else f"{PROGRAM} is not installed"
    require("the blackbox exporter", missing)
    token, config = tmp_path / "token", tmp_path / "blackbox.yml"
    token.write_text(TOKEN)
    shipped = (DEPLOY / "blackbox" / "blackbox.yml").read_text()
    config.write_text(shipped.replace(TOKEN_FILE, str(token)))
    port = free_port()
    command = [PROGRAM, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
    exporter = Program(command, tmp_path / "blackbox.log", cwd=tmp_path)
    exporter.start()
    url = f"http://127.0.0.1:{port}"

    def ask(target: str, module: str) -> bool:
        answer = http.get(f"{url}/probe", {"target": target, "module": module}).text
        found = re.search(r"^probe_success ([01])$", answer, re.M)
        assert found, answer
        return found[1] == "1"

    try:
        exporter.wait_ready(lambda: http.answers(f"{url}/-/healthy"), 30)
        yield ask
    finally:
        exporter.stop()


def test_the_four_routes_are_seen_from_outside(probe: Probe, web_server: WebServerFactory) -> None:
    server = web_server(
        {"VIBEBOX_METRICS_TOKEN": TOKEN, "VIBEBOX_DOCKER_REQUIRED": "false"}, workers=1
    )
    assert seen(probe, server) == dict.fromkeys(ROUTES, True)
    server.kill()
    assert seen(probe, server) == dict.fromkeys(ROUTES, False)


def seen(probe: Probe, server: WebServer) -> dict[str, bool]:
    """Return which targets of the jobs are well, by the module of each."""
    return {
        target.removeprefix("http://backend:3000"): probe(
            target.replace("http://backend:3000", server.url), job["params"]["module"][0]
        )
        for job in jobs()
        for target in job["static_configs"][0]["targets"]
    }
