"""Writes a bundle: an archive that only its owner may read, with each part or why it is missing."""

import io
import os
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from app.core import deadline
from app.doctor.bundle.parts import parts
from app.doctor.bundle.secrets import secrets_of, without
from app.doctor.bundle.subject import Subject, reason

SECONDS = 10.0
"""What a part may take."""
MODE = 0o600
_README = """What `vibebox support-bundle` found. Values of settings that may be secret, and
whatever looks like a secret, are left out; names of hosts, databases, accounts and environments
are not: look through it before you give it away. A secret that is a word of every bundle (vibebox,
postgres) is left out of addresses and settings alone: elsewhere a gap would tell it.

"""


def write(target: Path, subject: Subject, environment: Mapping[str, str]) -> list[str]:
    """Write the archive; return why each part that is missing is. `environment` has the secrets.

    Raises: OSError where it cannot be written; FileExistsError where there is such a file.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(target, flags, MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, MODE)  # whatever the umask adds to it
            folder = target.name.partition(".")[0] or "bundle"
            return fill(file, folder, subject, environment)
    except BaseException:
        with suppress(OSError):
            target.unlink()
        raise


def fill(
    file: IO[bytes], folder: str, subject: Subject, environment: Mapping[str, str]
) -> list[str]:
    """Write the archive into a file, all of it in a folder; see `write`."""
    secrets = secrets_of(environment)
    missing = []
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text, why in _texts(subject):
            if why is not None:
                missing.append(without(f"{name}: {why}", secrets))
            else:
                _add(archive, f"{folder}/{name}", without(text, secrets))
        told = "".join(f"Missing: {line}\n" for line in missing)
        _add(archive, f"{folder}/README.txt", _README + told)
    return missing


def _texts(subject: Subject) -> Iterator[tuple[str, str, str | None]]:
    """Yield name and text of each part, and why there is none where there is none."""
    for name, part in parts(subject).items():
        text, why = "", None
        try:
            with deadline.within(SECONDS):
                text = part(subject)
        except Exception as error:
            why = reason(error)
        yield name, text, why


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode("utf-8", "replace")
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(content), MODE, int(time.time())
    archive.addfile(member, io.BytesIO(content))
