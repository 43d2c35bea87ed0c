"""What the console took from npm is what npm has, at the versions of the lock file."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from app.web.console.assets import DIRECTORY
from tests.conftest import require

ROOT = Path(__file__).parents[1]
CONSOLE = DIRECTORY.parent
VENDOR = DIRECTORY / "vendor"


def missing_npm() -> str | None:
    """Return in words what is missing to build, or None."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    return f"{', '.join(missing)} not installed" if missing else None


@pytest.mark.integration
def test_vendored_files_are_those_of_npm(tmp_path: Path) -> None:
    require("npm", missing_npm())
    subprocess.run([ROOT / "scripts" / "console-assets", tmp_path], check=True, timeout=100)
    built = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    assert built == {file.name: file.read_bytes() for file in VENDOR.iterdir()}


def test_versions_are_pinned_and_no_registry_is_named() -> None:
    wanted = json.loads((CONSOLE / "package.json").read_text())["dependencies"]
    lock = json.loads((CONSOLE / "package-lock.json").read_text())["packages"]

    assert all(version[0].isdigit() for version in wanted.values())
    for name, version in wanted.items():
        locked = lock[f"node_modules/{name}"]
        assert locked["version"] == version and locked["integrity"]
        assert "resolved" not in locked


def test_every_vendored_library_has_its_licence() -> None:
    for library in ("xterm", "addon-fit"):
        assert "Permission is hereby granted" in (VENDOR / f"{library}.LICENSE.txt").read_text()
