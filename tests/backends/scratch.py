"""Directories of services, and the clearing away of what a killed test run left behind.

Each directory names the test process that owns it, as does the environment of each program. A test
run that is killed (pytest-timeout ends the whole process when a test hangs) cannot tidy up; the
next one ends the programs without a living owner, and removes such directories with the mounts and
network bridges that belong to them.
"""

import contextlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.backends.programs import (
    ServiceError,
    abandoned,
    family,
    identifies_living,
    identity,
    kill,
    mentioning,
)

PREFIX = "vibebox-test-"
_OWNER = "owner"
_BRIDGE = "bridge"


def new_directory(service: str) -> Path:
    """Make a directory for a service. Short and under /tmp: paths of Unix sockets are limited."""
    directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{service}-", dir="/tmp"))
    # Servers that drop root's rights must be able to reach what is inside.
    directory.chmod(0o755)
    (directory / _OWNER).write_text(identity())
    return directory


def mount_small(path: Path, size: str) -> None:
    """Make a directory that is a disk of its own, of a size like `4m`. Only root may.

    Below a `new_directory`, it goes with that. Raises: ServiceError.
    """
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"no disk of its own: {done.stderr.strip()}")


def mount_image(path: Path, size: str) -> None:
    """The same with ext4, in a file beside it: for what wants a file system as disks have it."""
    path.mkdir()
    image = path.with_suffix(".image")
    for command in (
        ["truncate", "--size", size, str(image)],
        ["mkfs.ext4", "-q", "-m", "0", str(image)],
        ["mount", "-o", "loop", str(image), str(path)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServiceError(f"no disk of its own: {done.stderr.strip()}")


def fill(disk: Path) -> Path:
    """Leave no byte free on a disk; return what to delete to have room again."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1 << 9):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


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
    for bridge in _bridges_of(directory):
        subprocess.run(["ip", "link", "delete", bridge], check=False, capture_output=True)
    shutil.rmtree(directory, ignore_errors=True)


def _bridges_of(directory: Path) -> set[str]:
    """Return the bridge noted, and those of networks that a dockerd made and did not remove.

    Only its database knows their names; it keeps them as plain text.
    """
    found = set()
    with contextlib.suppress(FileNotFoundError):
        found.add((directory / _BRIDGE).read_text())
        networks = (directory / "data/network/files/local-kv.db").read_bytes()
        found.update(name.decode() for name in re.findall(rb"br-[0-9a-f]{12}", networks))
    return found


def _mounts_under(directory: Path) -> list[str]:
    """Return the mount points below a directory, the deepest first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = [line.split()[4] for line in lines]
    return sorted((path for path in mounts if path.startswith(f"{directory}/")), reverse=True)


def sweep() -> None:
    """Remove the programs and directories whose owner is dead."""
    kill(abandoned())
    for directory in Path("/tmp").glob(f"{PREFIX}*"):
        if _is_abandoned(directory):
            remove_directory(directory)


def _is_abandoned(directory: Path) -> bool:
    try:
        return not identifies_living((directory / _OWNER).read_text())
    except (OSError, ValueError):
        return False  # Another run is making or removing it this moment.
