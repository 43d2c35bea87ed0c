"""The files that pages load, under an address that changes with them."""

import hashlib
from functools import cache
from pathlib import Path

DIRECTORY = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"


@cache
def version() -> str:
    """Return a digest of all files. It stands in the path, so that modules keep it when they
    import each other by relative addresses."""
    digest = hashlib.sha256()
    for file in sorted(DIRECTORY.rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(DIRECTORY).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]
