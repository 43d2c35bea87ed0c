"""Processes of the Procfile run and end together."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.cli import processes

ROOT = Path(__file__).parents[2]


def test_release_is_not_among_those_that_keep_running() -> None:
    commands = processes.long_running(ROOT / "Procfile")
    assert set(commands) == {"web", "agent"}
    assert commands["agent"] == "vibebox agent"


def run(tmp_path: Path, patience: float, *commands: str) -> "subprocess.Popen[bytes]":
    """Start the commands in a process of their own."""
    code = (
        "import os, sys; from app.cli.processes import run;"
        f"sys.exit(run({commands!r}, os.environ, {patience}))"
    )
    return subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.DEVNULL)


def shell_loop(at_end: str) -> str:
    """Return the command of a process that does `at_end` at SIGTERM; without it, nothing."""
    return f"sh -c 'trap \"{at_end}\" TERM; touch up; while :; do sleep 0.05; done'"


def wait_for(file: Path) -> None:
    ends = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_all_and_waits_for_them(tmp_path: Path, sent: int) -> None:
    running = run(tmp_path, 10, shell_loop("sleep 0.3; touch ended; exit 0"), "sleep 60")
    wait_for(tmp_path / "up")
    os.kill(running.pid, sent)
    assert running.wait(20) == 0
    assert (tmp_path / "ended").exists()


def test_one_that_ends_takes_the_others_along_and_gives_its_code(tmp_path: Path) -> None:
    running = run(tmp_path, 10, "sh -c 'exit 7'", "sleep 60")
    assert running.wait(20) == 7


def test_process_that_does_not_end_is_killed_when_patience_is_over(tmp_path: Path) -> None:
    patience = 0.2 - processes._MARGIN_SECONDS
    running = run(tmp_path, patience, shell_loop(""), "sleep 60")
    wait_for(tmp_path / "up")
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait(20) == 0
