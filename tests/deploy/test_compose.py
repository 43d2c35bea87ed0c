"""The Compose file: what it promises, and what the real program says of it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.settings import Settings
from tests.conftest import require

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text()
REQUIRED = {"POSTGRES_PASSWORD": "made-up", "DOCKER_GID": "998"}


def test_containers_have_the_names_that_operators_know() -> None:
    names = re.findall(r"container_name: (\S+)", TEXT)
    assert {"vibebox-backend", "vibebox-postgres"} <= set(names)


def test_no_password_stands_in_the_file() -> None:
    values = re.findall(r"^\s*\w*PASSWORD: (.*)$", TEXT, re.MULTILINE)
    assert values
    assert all(value.startswith("${POSTGRES_PASSWORD:?") for value in values)


def test_ports_are_published_on_loopback_only() -> None:
    published = re.findall(r'^ {4}ports:\n((?: {6}- ".*"\n)+)', TEXT, re.MULTILINE)
    addresses = re.findall(r'- "([^"]*)"', "".join(published))
    assert addresses
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_docker_waits_longer_than_the_server_drains() -> None:
    backend = TEXT[TEXT.index("\n  backend:") : TEXT.index("\n  migrate:")]
    grace = re.search(r"stop_grace_period: (\d+)s", backend)
    assert grace is not None
    assert int(grace[1]) > Settings.model_fields["graceful_timeout"].default


def config(environment: dict[str, str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Have Compose judge the file; leave the test out where Compose is not installed."""
    found = shutil.which("docker-compose")
    require("Docker Compose", None if found else "docker-compose is not installed")
    nothing = directory / "env"  # not the .env of whoever runs the tests
    nothing.touch()
    given = ["--file", str(FILE), "--env-file", str(nothing)]
    command = ["docker-compose", *given, "config", "--quiet"]
    env = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.integration
def test_compose_accepts_the_file(tmp_path: Path) -> None:
    result = config(REQUIRED, tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.integration
@pytest.mark.parametrize("missing", REQUIRED)
def test_compose_names_the_value_that_is_missing(missing: str, tmp_path: Path) -> None:
    others = {name: value for name, value in REQUIRED.items() if name != missing}
    result = config(others, tmp_path)
    assert result.returncode != 0
    assert "into .env" in result.stderr
