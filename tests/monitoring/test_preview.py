"""The preview is no part of the tests, but what it installs is as pinned as anything else."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "monitoring" / "preview", ROOT / "tests" / "monitoring" / "boards" / "schema")


@pytest.mark.parametrize("place", PACKAGES, ids=lambda place: place.name)
def test_versions_are_pinned_and_no_registry_is_named(place: Path) -> None:
    wanted = json.loads((place / "package.json").read_text())["dependencies"]
    lock = json.loads((place / "package-lock.json").read_text())["packages"]

    assert lock[""]["dependencies"] == wanted
    for name, version in wanted.items():
        assert lock[f"node_modules/{name}"]["version"] == version
    for name, locked in lock.items():
        assert "resolved" not in locked
        assert not name or locked.get("integrity"), name


def test_grafanas_packages_have_one_version() -> None:
    """Two versions of them in one page do not know each other's objects."""
    wanted = {
        name: version
        for place in PACKAGES
        for name, version in json.loads((place / "package.json").read_text())[
            "dependencies"
        ].items()
        if name.startswith("@grafana/")
    }
    assert len(set(wanted.values())) == 1
