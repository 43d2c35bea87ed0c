"""What `make dist` builds, and environments in which nothing else is installed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(target: Path) -> dict[str, Path]:
    """Build the wheels as `make dist` does; return them by their names."""
    command = [sys.executable, "scripts/build-dist", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return {wheel.name: wheel for wheel in target.iterdir()}


def environment(directory: Path, *wanted: str | Path) -> Path:
    """Return the `bin` of a new environment in which pip has installed what is wanted."""
    target = directory / "venv"
    # Without a pip of its own, which takes seconds to install: this Python's installs into it.
    make = [sys.executable, "-m", "venv", "--without-pip", str(target)]
    subprocess.run(make, check=True, timeout=60)
    add(target / "bin", *wanted)
    return target / "bin"


def add(programs: Path, *wanted: str | Path) -> None:
    """Install more into an environment."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    pip += ["--python", str(programs.parent), "install", "--quiet", "--no-compile"]
    pip += [f"--constraint={ROOT / 'constraints.txt'}"]
    subprocess.run([*pip, *map(str, wanted)], check=True, timeout=180)
