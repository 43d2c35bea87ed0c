"""What README and docs/usage.md show is typed as it stands, and must answer as they say."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.backends.docker_engine import DockerEngine
from tests.backends.programs import Program, free_port, tail
from tests.backends.web import ROOT

pytestmark = pytest.mark.end_to_end

SECTIONS = (
    ("README.md", "The first five minutes"),
    ("docs/usage.md", "Command line"),
    ("docs/usage.md", "Errors"),
)
# The address that the documents name; the test's service has a port of its own.
ADDRESS = "http://127.0.0.1:3000"
START_TIMEOUT = 30.0
TOUR_TIMEOUT = 90.0
MARK = "--- the next command"

# What differs from one run to the next, and what stands for it in the comparison.
_VARIES = (
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)"), "TIME"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8}\b"), "ID"),
    (re.compile(r"\b\d+(\.\d+)? ?([KMG]i)?B\b"), "SIZE"),
    (re.compile(r"(?<![\w.])\d+\.\d+(?![\w.])"), "N"),
    (re.compile(r"\b(32|3[3-9]|[4-6]\d)\d{3}\b"), "PORT"),
    (re.compile(r"\b\d+s\b"), "AGE"),
    # An exec of the agent may be among them.
    (re.compile(r"^Processes +\d+$", re.MULTILINE), "Processes N"),
    (re.compile(r"[ \t]+"), " "),
)


@dataclass(frozen=True)
class Step:
    """A command, and the lines that are shown below it."""

    command: str
    shown: list[str]


def steps() -> Iterator[Step]:
    """Yield what the sections tell people to type, in order."""
    for document, section in SECTIONS:
        whole = (ROOT / document).read_text()
        text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", whole, re.MULTILINE | re.DOTALL)
        assert text, section
        for block in re.findall(r"^```\n(\$ .*?)^```$", text[1], re.MULTILINE | re.DOTALL):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, *shown = part.splitlines()
                yield Step(command, shown)


def comparable(lines: list[str]) -> list[str]:
    """Return lines without what differs from one run to the next."""
    text = "\n".join(lines)
    for pattern, name in _VARIES:
        text = pattern.sub(name, text)
    return [line.rstrip() for line in text.splitlines()]


@pytest.fixture
def vibebox(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[dict[str, str]]:
    """A whole VibeBox as `make run` starts it; the environment of whoever types beside it."""
    docker_engine.clear()  # the documents show all environments that there are
    client = docker_engine.client()
    client.tag(docker_engine.busybox, "busybox", "latest")
    port = str(free_port())
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {
        "PATH": path,
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PORT": port,
        "DOCKER_HOST": docker_engine.host,
    }
    for name in ("Procfile", "gunicorn.conf.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    log = tmp_path / "log"
    service = Program(["vibebox", "run"], log, env=env, cwd=tmp_path)
    url = f"http://127.0.0.1:{port}"
    try:
        service.start()
        service.wait_ready(lambda: _checks(url) == {"up"}, START_TIMEOUT)
        yield {**env, "VIBEBOX_URL": url}
        assert service.stop(START_TIMEOUT) == 0, tail(log)
    finally:
        service.kill()
        docker_engine.clear()


def _checks(url: str) -> set[str]:
    """Return the states of all readiness checks, the agent's among them."""
    try:
        answer = requests.get(f"{url}/health/ready", timeout=5).json()
    except (requests.RequestException, ValueError):
        return set()
    return {check["status"] for check in answer.get("checks", {}).values()}


def test_documents_are_typed_as_they_stand(tmp_path: Path, vibebox: dict[str, str]) -> None:
    tour = list(steps())
    url = vibebox["VIBEBOX_URL"]
    script = "".join(f"echo '{MARK}'\n{step.command.replace(ADDRESS, url)}\n" for step in tour)
    ran = subprocess.run(
        ["bash", "-c", script],
        env=vibebox,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TOUR_TIMEOUT,
        check=False,
    )
    answers = ran.stdout.replace(url, ADDRESS).split(f"{MARK}\n")[1:]

    assert len(answers) == len(tour) > 25, ran.stdout
    for step, answer in zip(tour, answers, strict=True):
        assert comparable(answer.splitlines()) == comparable(step.shown), step.command
