"""An image with a real VS Code server, and extensions made by hand."""

import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import docker

from tests.backends.busybox import add_file
from tests.backends.host_image import import_host_image

TAG = "vibebox-test/code-server:1"
PORT = 13337
_INSTALLED = Path("/var/cache/vibebox-tests/code-server/code-server.tar")
_START = b'#!/bin/sh\nexec node /opt/code-server/node_modules/code-server/out/node/entry.js "$@"\n'
_MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011">
  <Metadata>
    <Identity Language="en-US" Id="{name}" Version="{version}" Publisher="{publisher}"/>
    <DisplayName>{name}</DisplayName>
    <Description>Made by hand.</Description>
  </Metadata>
  <Installation><InstallationTarget Id="Microsoft.VisualStudio.Code"/></Installation>
  <Dependencies/>
  <Assets>
    <Asset Type="Microsoft.VisualStudio.Code.Manifest" Path="extension/package.json"/>
  </Assets>
</PackageManifest>
"""


def missing_code_server() -> str | None:
    """Return in words what this host lacks to make the image, or None."""
    if shutil.which("node") is None:
        return "node not installed"
    return None if _INSTALLED.exists() else "code-server not installed"


def import_code_server(client: docker.APIClient) -> str:
    """Make the image where the engine does not hold it yet, and return its tag."""
    raw: Any = client
    if raw.images(TAG):
        return TAG
    repository, _, version = TAG.rpartition(":")
    base = import_host_image(client, f"{TAG}-base", programs=("bash", "node", "tmux"))
    container = raw.create_container(base)["Id"]
    try:
        with _INSTALLED.open("rb") as archive:
            raw.put_archive(container, "/", archive)
        raw.put_archive(container, "/", _program())
        raw.commit(container, repository, version)
    finally:
        raw.remove_container(container)
    return TAG


def package(publisher: str = "vibebox", name: str = "hello", version: str = "0.0.1") -> bytes:
    """Return a .vsix as VS Code takes it; its files bear no time, so that it is always the same."""
    described = {"publisher": publisher, "name": name, "version": version}
    manifest = {**described, "engines": {"vscode": "^1.60.0"}, "main": "./main.js"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in {
            "extension.vsixmanifest": _MANIFEST.format(**described),
            "extension/package.json": json.dumps(manifest),
            "extension/main.js": "exports.activate = () => {};",
        }.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


def _program() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        add_file(archive, "usr/local/bin/code-server", tarfile.REGTYPE, content=_START, mode=0o755)
    return buffer.getvalue()
