"""An image with bash, tmux and stty, made of this host's own programs and their libraries."""

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import docker

from tests.backends.busybox import add_file, busybox_root

TAG = "vibebox-test/host:1"
PROGRAMS = ("bash", "stty", "tmux")
_TERMINALS = ("screen", "tmux", "tmux-256color", "xterm-256color")
_TERMINFO = (Path("/lib/terminfo"), Path("/usr/share/terminfo"))
_LIBRARY = re.compile(r"(/\S+)")
_LOCALE = Path("/usr/lib/locale/C.utf8")
_CHANGES = ['CMD ["sleep", "100000"]', "ENV PATH=/usr/local/bin:/bin", "ENV LANG=C.UTF-8"]


def missing_programs() -> str | None:
    """Return in words what this host lacks to make the image, or None."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"{', '.join(missing)} not installed" if missing else None


def import_host_image(
    client: docker.APIClient, tag: str = TAG, programs: Sequence[str] = PROGRAMS
) -> str:
    """Have the image in an engine, beside busybox's applets, and return its tag.

    The tag says what is inside: an engine that holds it is not given it again.
    """
    files = _files(programs)
    named = f"{tag}-{_digest(files)}"
    raw: Any = client
    if not raw.images(named):
        repository, _, version = named.rpartition(":")
        raw.import_image_from_data(
            _root_file_system(files), repository=repository, tag=version, changes=_CHANGES
        )
    return named


def _digest(files: dict[str, Path]) -> str:
    """Return what changes with each file."""
    stats = [(name, path.stat().st_size, path.stat().st_mtime_ns) for name, path in files.items()]
    return sha256(repr(sorted(stats)).encode()).hexdigest()[:16]


def _files(programs: Sequence[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for name in programs:
        program = Path(shutil.which(name) or name).resolve()
        files[f"usr/local/bin/{name}"] = program
        for library in _libraries(program):
            files[library.lstrip("/")] = Path(library)
    for terminal in _TERMINALS:
        for place in _TERMINFO:
            found = place / terminal[0] / terminal
            if found.exists():
                files[f"lib/terminfo/{terminal[0]}/{terminal}"] = found
    for file in _LOCALE.rglob("*"):
        if file.is_file():
            files[str(file).lstrip("/")] = file
    return files


def _root_file_system(files: dict[str, Path]) -> bytes:
    buffer = io.BytesIO(busybox_root())
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        for name, path in files.items():
            add_file(archive, name, tarfile.REGTYPE, content=path.read_bytes())
    return buffer.getvalue()


def _libraries(program: Path) -> list[str]:
    """Return the shared libraries of a program, its loader among them."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
    return [found[1] for line in listing.stdout.splitlines() if (found := _LIBRARY.search(line))]
