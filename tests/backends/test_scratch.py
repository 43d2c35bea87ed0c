"""Clearing away what a killed test run left behind."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.backends.programs import alive, wait_until
from tests.backends.scratch import new_directory, remove_directory, sweep
from tests.backends.web import ROOT

pytestmark = pytest.mark.integration

KILLED_RUN = """
import os, signal
from tests.backends.programs import Program
from tests.backends.scratch import new_directory
directory = new_directory("killed")
program = Program(["sleep", "60"], directory / "log")
program.start()
program.suspend()
print(directory, program.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_sweep_ends_programs_and_directories_without_an_owner() -> None:
    run = subprocess.run(
        [sys.executable, "-c", KILLED_RUN], cwd=ROOT, capture_output=True, text=True, check=False
    )
    directory, pid = run.stdout.split()
    # A frozen program does not get the kernel's signal that its owner has died.
    frozen = psutil.Process(int(pid))
    wait_until(lambda: frozen.status() == psutil.STATUS_STOPPED, 5)
    sweep()
    assert not alive(frozen)
    assert directory.startswith("/tmp/vibebox-test-")
    assert not Path(directory).exists()


def test_sweep_spares_what_has_an_owner() -> None:
    directory = new_directory("kept")
    sweep()
    assert directory.exists()
    remove_directory(directory)
    assert not directory.exists()
