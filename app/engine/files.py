"""The gateway's operation on files in containers."""

import io
import tarfile
from pathlib import PurePosixPath

from app.engine.calls import EngineCalls, checked


class Files(EngineCalls):
    """Files that the service brings into containers."""

    def put_file(self, container: str, path: str, content: bytes, owner: tuple[int, int]) -> None:
        """See `Engine.put_file`."""
        place = PurePosixPath(path)
        archive = _archive(place.name, content, owner)
        with self._call(self._lifecycle_timeout) as client:
            client.put_archive(checked(container), str(place.parent), archive)


def _archive(name: str, content: bytes, owner: tuple[int, int]) -> bytes:
    described = tarfile.TarInfo(name)
    described.size, described.mode = len(content), 0o644
    described.uid, described.gid = owner
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(described, io.BytesIO(content))
    return buffer.getvalue()
