"""Programs that start from loaded libraries are what the interpreter would have made of them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends import warm
from tests.backends.programs import Program, wait_until

pytestmark = pytest.mark.end_to_end

_PROGRAM = """
import gc, json, os, pathlib, random, sys, time
told = [sys.argv[1:], sys.orig_argv[1:], __name__, os.getcwd(), dict(os.environ), gc.isenabled(),
        os.getsid(0) == os.getpid(), random.random(), sys.stdin.read()]
print(json.dumps(told), flush=True)
if sys.argv[1:] == ["sleep"]:
    time.sleep(60)
sys.exit(7)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(_PROGRAM)
    return tmp_path


def run(directory: Path, *arguments: str, started_warm: bool, **env: str) -> Program:
    command = [sys.executable, "-m", "program", *arguments]
    return Program(
        command,
        directory / f"{started_warm}-{len(arguments)}.log",
        env={"PATH": os.environ["PATH"], **env},
        cwd=directory,
        warm=started_warm,
    )


def test_same_program_as_from_the_interpreter(program: Path) -> None:
    said = []
    for started_warm in (True, False):
        started = run(program, "a", "b c", started_warm=started_warm, ONE="1")
        started.start()
        assert started.wait(20) == 7
        said.append(started.log.read_text())
    ours, theirs = map(json.loads, said)
    assert ours[7] != theirs[7]
    del ours[7], theirs[7]
    for told in (ours, theirs):
        told[4].pop("TEST_PROCESS", None)
        told[4].pop("LC_CTYPE", None)  # of PEP 538, set by an interpreter for its children
    assert ours == theirs


def test_ends_by_a_signal_and_with_its_test(program: Path) -> None:
    started = run(program, "sleep", started_warm=True)
    started.start()
    wait_until(lambda: "sleep" in started.log.read_text(), 20)
    assert started.running
    assert started.stop() == -signal.SIGTERM
    assert not started.running


def test_what_the_interpreter_reads_at_its_start_needs_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "program"]
    assert warm.fits(command, {"PATH": ""})
    assert not warm.fits(command, {"PYTHONPATH": "/elsewhere"})
    assert not warm.fits(command, {"LD_PRELOAD": "libfaketime.so"})
    assert not warm.fits([sys.executable, "program.py"], {})
    (tmp_path / "app").mkdir()
    assert not warm.fits(command, {"PATH": ""}, tmp_path)


def test_nothing_is_loaded_that_looks_at_the_process_which_imports_it() -> None:
    names = [*warm.LIBRARIES, *(name for room in warm.ROOMS for name in warm.modules(room))]
    assert "app.storage.models.environments" in names
    source = f"import {', '.join(names)}, sys; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", source], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {"prometheus_client", "gunicorn"} & set(loaded)
