"""What monitoring/README.md has people type beside a VibeBox that Compose does not run."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from dotenv import dotenv_values

from app.cli.main import main
from tests.backends import http
from tests.backends.alertmanager import PROGRAM, Alertmanager
from tests.backends.programs import Program, free_port, wait_until
from tests.backends.prometheus_releases import RELEASES
from tests.backends.web import WebServer
from tests.conftest import require
from tests.deploy.guide import DOCUMENT
from tests.sizes import size

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
PATIENCE = 30.0
RESEND = "--rules.alert.resend-delay=1s"
_AGE = re.compile(r"^vibebox_alerting_heartbeat_age_seconds (\S+)$", re.MULTILINE)


@contextmanager
def started(block: str, directory: Path, env: Mapping[str, str]) -> Iterator[None]:
    """Run a block whose last command goes on until it is stopped."""
    command = re.sub(r"^(?=(?:prometheus|alertmanager) )", "exec ", block, flags=re.MULTILINE)
    name = command.partition("exec ")[2].partition(" ")[0]
    program = Program(
        ["bash", "-ec", command], directory / f"{name}.log", name=name, env=env, cwd=directory
    )
    program.start()
    try:
        yield
    finally:
        program.stop()


def with_programs(directory: Path, prometheus: str) -> dict[str, str]:
    """Return an environment in which the programs have the names of the document."""
    directory.mkdir()
    vibebox = Path(sys.executable).with_name("vibebox")
    for name, program in (
        ("prometheus", prometheus),
        ("alertmanager", PROGRAM),
        ("vibebox", str(vibebox)),
    ):
        (directory / name).symlink_to(str(shutil.which(program)))
    return {"PATH": f"{directory}:{os.environ['PATH']}", "HOME": str(directory)}


@pytest.mark.parametrize("release", size(("2.42",), ("2.42", "3.16")))
def test_alerts_arrive_and_lead_somewhere(tmp_path: Path, release: str) -> None:
    require("Prometheus", RELEASES[release].missing())
    require("Alertmanager", Alertmanager.installed())
    write, alertmanager, prometheus = BLOCKS
    if release.startswith("2."):
        prometheus = prometheus.replace("# Prometheus 2: ", "")
    server = WebServer(tmp_path)
    at = {"VIBEBOX": f"127.0.0.1:{server.port}"}
    at |= {name: f"127.0.0.1:{free_port()}" for name in ("PROMETHEUS", "ALERTMANAGER")}
    named = " ".join(f"{name}={address}" for name, address in at.items())
    write, number = re.subn(r"\AVIBEBOX=.*$", named, write, flags=re.MULTILINE)
    assert number == 1
    env = with_programs(tmp_path / "bin", RELEASES[release].program)

    subprocess.run(["bash", "-ec", write], cwd=tmp_path, env=env, check=True, timeout=60)
    settings = {name: str(value) for name, value in dotenv_values(tmp_path / ".env").items()}
    server.set(**settings)
    directory = tmp_path / "var" / "monitoring"
    configuration = directory / "prometheus" / "prometheus.yml"
    # A test waits for no rule's interval, and not a minute for what nobody was there to be told.
    prometheus = prometheus.replace("--web.user-assets", f"{RESEND} --web.user-assets")
    text = re.sub(r"(_interval|_timeout): 1[05]s", r"\1: 1s", configuration.read_text())
    configuration.write_text(text)
    with ExitStack() as running:
        running.enter_context(server)
        running.enter_context(started(alertmanager, directory, {**env, **at}))
        running.enter_context(started(prometheus, directory, {**env, **at}))

        def beats() -> bool:
            found = _AGE.search(http.get(f"{server.url}/health/metrics").text)
            return found is not None and float(found[1]) < PATIENCE

        wait_until(beats, PATIENCE)
        page = f"http://{at['PROMETHEUS']}"
        links = http.get(f"{page}/api/v1/alerts").json()["data"]["alerts"][0]["annotations"]
        assert http.get(links["runbook_url"]).status_code == 200
        assert links["runbook_url"].startswith(page)
        assert links["explanation_url"].startswith(f"http://{at['VIBEBOX']}/")
        wait_until(lambda: _is_scraped(page), PATIENCE)
        told = CliRunner().invoke(main, ["doctor", "--json"], env=server.env)
        checks = {one["name"]: one for one in json.loads(told.stdout)["checks"]}
        for name in ("prometheus", "alertmanager"):
            assert checks[name]["outcome"] == "ok", checks[name]


def _is_scraped(page: str) -> bool:
    found = http.get(f"{page}/api/v1/query", {"query": "up"}).json()["data"]["result"]
    return {one["metric"]["job"]: one["value"][1] for one in found} == {
        "vibebox-backend": "1",
        "prometheus": "1",
        "alertmanager": "1",
    }
