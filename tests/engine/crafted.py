"""Images whose configuration and files are made for a test, as anybody may push them."""

import hashlib
import io
import json
import tarfile
import uuid
from functools import cache
from typing import Any

from tests.backends.busybox import add_file, busybox_root

Entry = tuple[str, bytes, dict[str, Any]]
"""A path, its kind as in tarfile, and what `add_file` takes beside."""


@cache
def _root() -> bytes:
    return busybox_root()


def link(path: str, target: str) -> Entry:
    return path, tarfile.SYMTYPE, {"target": target}


def directory(path: str) -> Entry:
    return path, tarfile.DIRTYPE, {}


def file(path: str, content: bytes = b"x", mode: int = 0o644) -> Entry:
    return path, tarfile.REGTYPE, {"content": content, "mode": mode}


def load(raw: Any, config: dict[str, Any], *entries: Entry) -> str:
    """Load an image of busybox with these entries above, and return its tag."""
    name = f"vibebox-test-{uuid.uuid4().hex}:1"
    layers = [_root(), _archive(entries)] if entries else [_root()]
    described = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"], **config},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]},
    }
    names = [f"{number}.tar" for number, _ in enumerate(layers)]
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": names}]
    files = {
        "config.json": json.dumps(described).encode(),
        **dict(zip(names, layers, strict=True)),
        "manifest.json": json.dumps(manifest).encode(),
    }
    said = list(raw.load_image(_archive([file(path, content) for path, content in files.items()])))
    assert not any("error" in message for message in said), said
    return name


def _archive(entries: "list[Entry] | tuple[Entry, ...]") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, kind, details in entries:
            add_file(archive, path, kind, **details)
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
