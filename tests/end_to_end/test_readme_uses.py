"""The README's launch under gunicorn, typed as it stands: health, metrics by token, Prometheus."""

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.backends import http
from tests.backends.programs import Program, free_port, tail, wait_until
from tests.backends.prometheus import Prometheus, promtool
from tests.backends.web import ROOT
from tests.conftest import require

pytestmark = pytest.mark.end_to_end

SECTION = "Under gunicorn, with Prometheus and Grafana"
README = (ROOT / "README.md").read_text().partition(f"## {SECTION}\n")[2].partition("\n## ")[0]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ADDRESS = "127.0.0.1:3000"
HEALTH = ("", "/live", "/ready", "/metrics")
TIMEOUT = 40.0
# What a terminal does when it is closed.
CLOSING = "trap 'kill $(jobs -p); wait' TERM; wait"


def typed(text: str) -> list[str]:
    """Return each block of commands of a text, without the prompts."""
    blocks = re.findall(r"^```\n(\$ .*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r"^\$ ", "", block, flags=re.MULTILINE) for block in blocks]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who types in the README's directory."""
    for name in ("Procfile", "gunicorn.conf.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PORT": str(free_port()),
        "DOCKER_HOST": f"unix://{tmp_path}/no-docker.sock",
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
    }


@pytest.fixture
def service(tmp_path: Path, env: dict[str, str]) -> Iterator[str]:
    """VibeBox as the README launches it; its address."""
    launch = typed(README)[0]
    script = f"{launch}printf %s $VIBEBOX_METRICS_TOKEN > metrics_token; {CLOSING}"
    log = tmp_path / "log"
    program = Program(["bash", "-c", script], log, env=env, cwd=tmp_path)
    url = f"http://127.0.0.1:{env['PORT']}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(env["NOTIFY_SOCKET"])
        notified.settimeout(TIMEOUT)
        try:
            program.start()
            program.wait_ready(lambda: http.answers(f"{url}/health"), TIMEOUT)
            # What deploy/systemd's Type=notify waits for.
            assert notified.recv(4096).startswith(b"READY=1"), tail(log)
            yield url
            program.stop(TIMEOUT)
            assert '"event": "Shutting down: Master"' in log.read_text(), tail(log)
        finally:
            program.kill()


def run(command: str, directory: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", command],
        env=env,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_launch_answers_health_curl_and_prometheus(
    tmp_path: Path,
    env: dict[str, str],
    service: str,
    prometheus: Callable[..., Prometheus],
) -> None:
    statuses = [http.get(f"{service}/health{path}").status_code for path in HEALTH]
    assert statuses == [200, 200, 503, 200]  # no Docker Engine is there
    wait_until(lambda: agent_is_up(service), TIMEOUT)

    token = (tmp_path / "metrics_token").read_text()
    command = typed(README)[1].replace(ADDRESS, f"127.0.0.1:{env['PORT']}").strip()
    elsewhere = f"{command} -H 'Via: 1.1 proxy' --fail-with-body"
    mine = {**env, "VIBEBOX_METRICS_TOKEN": token}
    assert "vibebox_http_requests_total{" in run(elsewhere, tmp_path, mine)
    with pytest.raises(AssertionError):
        run(elsewhere, tmp_path, {**env, "VIBEBOX_METRICS_TOKEN": "another"})

    (job,) = configuration()["scrape_configs"]
    scraper = prometheus(
        [job["static_configs"][0]["targets"][0].replace("3000", env["PORT"])],
        job=job["job_name"],
        metrics_path=job["metrics_path"],
        bearer_token=(tmp_path / job["authorization"]["credentials_file"]).read_text(),
    )
    assert scraper.wait_for('up{job="vibebox-backend"} == 1')


def agent_is_up(url: str) -> bool:
    return bool(http.get(f"{url}/health/ready").json()["checks"]["agent"]["status"] == "up")


def configuration() -> dict[str, list[dict[str, Any]]]:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    found: dict[str, list[dict[str, Any]]] = yaml.safe_load(text)
    return found


def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    require("Prometheus", Prometheus.installed())
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration()))
    (tmp_path / "metrics_token").write_text("token")
    told = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert told.returncode == 0, told.stdout + told.stderr


def test_backup_of_sqlite_is_whole_and_comes_back(tmp_path: Path, env: dict[str, str]) -> None:
    backup, restore = typed(OPERATIONS.partition("\n## Backup\n")[2].partition("\n## ")[0])
    make = "echo 'correct horse battery' | vibebox accounts create {} --password-stdin"
    run(f"vibebox migrate && {make.format('ada@example.org')}", tmp_path, env)
    run(backup, tmp_path, env)
    run(make.format("bob@example.org"), tmp_path, env)

    run(restore, tmp_path, env)

    listed = run("vibebox accounts list", tmp_path, env)
    assert "ada@example.org" in listed
    assert "bob@example.org" not in listed
