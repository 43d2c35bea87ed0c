"""The agent's process: what it refuses, what it says of itself, how it ends."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backends.agent import Agent
from tests.backends.programs import wait_until
from tests.backends.web import ROOT

pytestmark = pytest.mark.integration

AGENT = [sys.executable, "-m", "app.cli", "agent"]
MakeAgent = Callable[[str], Agent]


@pytest.fixture
def env(tmp_path: Path, database_url: str) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "DATABASE_URL": database_url,
        "DOCKER_HOST": f"unix://{tmp_path}/no-docker.sock",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
    }


@pytest.fixture
def make_agent(tmp_path: Path, env: dict[str, str]) -> Iterator[MakeAgent]:
    """A factory of agents on one SQLite file, without Docker."""
    made: list[Agent] = []

    def make(name: str) -> Agent:
        made.append(Agent(env, tmp_path / f"{name}.log"))
        return made[-1]

    yield make
    for agent in made:
        agent.close()


def run(env: dict[str, str], *arguments: str, **settings: str) -> tuple[int, str]:
    """Run the command to its end; return its exit code and what it said."""
    done = subprocess.run(
        [*AGENT, *arguments],
        cwd=ROOT,
        env={**env, **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"PORT": "x"}, "PORT"),
        ({"DATABASE_URL": "sqlite:////tmp/vibebox-none/empty.db"}, "run `vibebox migrate`"),
        ({"PROMETHEUS_MULTIPROC_DIR": "/proc/nowhere"}, "cannot be made"),
    ],
    ids=["setting", "schema", "metrics"],
)
def test_wrong_start_is_refused_with_the_next_step(
    env: dict[str, str], tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    settings = {
        name: value.replace("/tmp/vibebox-none", str(tmp_path)) for name, value in settings.items()
    }
    code, said = run(env, **settings)

    assert code == 2
    assert words in said
    assert "Traceback" not in said


def test_it_works_without_docker_and_ends_in_good_order(
    env: dict[str, str], make_agent: MakeAgent, tmp_path: Path
) -> None:
    code, said = run(env, "--check")
    assert (code, "start `vibebox agent`" in said) == (1, True)
    first, second = make_agent("first").start(), make_agent("second").start(leading=False)
    first.wait_event("events: cut off")
    second.wait_event("agent started")
    wait_until(lambda: run(env, "--check")[0] == 0, 20)
    assert second.events("leading") == 0

    assert first.terminate() == 0

    # Released, and not run out: it takes the next one a moment.
    second.wait_event("leading", timeout=6)
    assert first.events("agent ended") == 1
    assert second.terminate() == 0
    assert run(env, "--check")[0] == 1
    assert [line for line in second.lines() if line["level"] == "error"] == []
    assert list((tmp_path / "metrics").glob("member_*")) == []
