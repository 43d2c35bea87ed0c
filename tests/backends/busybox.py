"""A 2 MB image made of this host's static busybox, since tests pull nothing from outside."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import docker

TAG = "vibebox-test/busybox:1"
_ROOT = b"root:x:0:0:root:/root:/bin/sh\n"
_DIRECTORIES = ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "var")


def busybox_program() -> str | None:
    """Return the path of busybox when it needs no shared libraries, or None."""
    program = shutil.which("busybox")
    if program is None:
        return None
    # A dynamic program names its interpreter right behind the headers.
    with open(program, "rb") as file:
        return None if b"/ld-" in file.read(4096) else program


def import_busybox(client: docker.APIClient, tag: str = TAG) -> str:
    """Import the image into an engine and return its tag."""
    repository, _, version = tag.rpartition(":")
    client.import_image_from_data(
        busybox_root(),
        repository=repository,
        tag=version,
        changes=['CMD ["/bin/sh"]', "ENV PATH=/bin"],
    )
    return tag


def busybox_root(users: bytes = _ROOT) -> bytes:
    """Return the root of the image, as an archive; `users` is its /etc/passwd."""
    program = Path(busybox_program() or "busybox")
    listing = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in _DIRECTORIES:
            add_file(archive, name, tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)
        for name, content in {"etc/passwd": users, "etc/group": b"root:x:0:\n"}.items():
            add_file(archive, name, tarfile.REGTYPE, content=content, mode=0o644)
        add_file(archive, "bin/busybox", tarfile.REGTYPE, content=program.read_bytes())
        for applet in set(listing.stdout.split()) - {"busybox"}:
            add_file(archive, f"bin/{applet}", tarfile.SYMTYPE, target="busybox")
    return buffer.getvalue()


def add_file(
    archive: tarfile.TarFile,
    name: str,
    kind: bytes,
    *,
    content: bytes = b"",
    target: str = "",
    mode: int = 0o755,
    owner: int = 0,
) -> None:
    """Add an entry to an archive; `owner` is user and group."""
    entry = tarfile.TarInfo(name)
    entry.uid = entry.gid = owner
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(content), target
    archive.addfile(entry, io.BytesIO(content))
