"""What `make dist` builds, and environments in which nothing else is installed.

In the gate pip finds what the wheels require packed from what is installed here, in the releases of
`constraints.txt` too; with FULL it asks the index, which takes three times as long.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.backends.wheels import needed_by, wheel
from tests.sizes import FULL

ROOT = Path(__file__).parents[2]


def build(target: Path, **variables: str) -> dict[str, Path]:
    """Build the wheels as `make dist` does with those variables; return them by their names."""
    command = [sys.executable, "scripts/build-dist", str(target)]
    env = {**os.environ, "PROJECT_URL": "", **variables}  # whatever who runs this has named
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, timeout=120)
    return {wheel.name: wheel for wheel in target.iterdir()}


def built_once(factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build the wheels for all processes of this run; return them by their names."""
    place = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    target = place / "dist"
    with (place / "dist.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            build(place / "dist.unfinished")
            (place / "dist.unfinished").rename(target)
    return {file.name: file for file in target.iterdir()}


def environment(
    directory: Path, name: str, *wanted: str | Path, extras: Collection[str] = ()
) -> Path:
    """Return the `bin` of a new environment in which pip has installed what is wanted.

    name, extras: the distribution among that, and those extras of it that are asked for.
    """
    target = directory / "venv"
    # Without a pip of its own, which takes seconds to install: this Python's installs into it.
    make = [sys.executable, "-m", "venv", "--without-pip", str(target)]
    subprocess.run(make, check=True, timeout=60)
    packed = () if FULL else ("--no-index", f"--find-links={_pack(directory, name, extras)}")
    add(target / "bin", *packed, *wanted)
    return target / "bin"


def _pack(directory: Path, name: str, extras: Collection[str]) -> Path:
    """Pack what the distribution needs, as it is installed here; return the directory."""
    target = directory / "required"
    target.mkdir()
    for needed in needed_by(name, frozenset(extras)):
        file, content = wheel(needed)
        (target / file).write_bytes(content)
    return target


def add(programs: Path, *wanted: str | Path) -> None:
    """Install more into an environment; what is wanted may have options of pip's before it."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    pip += ["--python", str(programs.parent), "install", "--quiet", "--no-compile"]
    pip += [f"--constraint={ROOT / 'constraints.txt'}"]
    subprocess.run([*pip, *map(str, wanted)], check=True, timeout=180)
