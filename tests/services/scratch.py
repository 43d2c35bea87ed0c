"""Directories of services, and the clearing away of what a killed test run left behind.

Each directory names the process that owns it. A test run that is killed (pytest-timeout ends the
whole process when a test hangs) cannot tidy up; the next one finds directories without a living
owner, ends every process that works in them, and removes them with their mounts and bridges.
"""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.services.programs import family, kill, mentioning

PREFIX = "vibebox-test-"
_OWNER = "owner.json"
_BRIDGE = "bridge"


def new_directory(service: str) -> Path:
    """Make a directory for a service. Short and under /tmp: paths of Unix sockets are limited."""
    directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{service}-", dir="/tmp"))
    # Servers that drop root's rights must be able to reach what is inside.
    directory.chmod(0o755)
    owner = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    (directory / _OWNER).write_text(json.dumps(owner))
    return directory


def note_bridge(directory: Path, name: str) -> None:
    """Record that the network bridge `name` belongs to the directory and goes with it."""
    (directory / _BRIDGE).write_text(name)


def remove_directory(directory: Path) -> None:
    """End what still works in the directory, then remove its mounts, its bridge and itself."""
    for process in mentioning(f"{directory}/"):
        # With descendants: of a container only its parent, containerd's shim, names the directory.
        kill(family(process.pid))
    for mount in _mounts_under(directory):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    with contextlib.suppress(FileNotFoundError):
        bridge = (directory / _BRIDGE).read_text()
        subprocess.run(["ip", "link", "delete", bridge], check=False, capture_output=True)
    shutil.rmtree(directory, ignore_errors=True)


def _mounts_under(directory: Path) -> list[str]:
    """Return the mount points below a directory, the deepest first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = [line.split()[4] for line in lines]
    return sorted((path for path in mounts if path.startswith(f"{directory}/")), reverse=True)


def sweep() -> None:
    """Remove the directories whose owner is dead."""
    for directory in _abandoned():
        remove_directory(directory)


def _abandoned() -> Iterator[Path]:
    for directory in Path("/tmp").glob(f"{PREFIX}*"):
        try:
            owner = json.loads((directory / _OWNER).read_text())
            living = psutil.Process(owner["pid"]).create_time() == owner["started"]
        except psutil.NoSuchProcess:
            yield directory
        except (OSError, ValueError, KeyError):
            continue  # Another run is making or removing it this moment.
        else:
            if not living:
                yield directory
