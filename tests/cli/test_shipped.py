"""What is packed beside the package's own modules, and what stays in the checkout."""

import re
import subprocess
from pathlib import Path

import pytest

from app.cli import shipped

ROOT = Path(__file__).parents[2]


def test_all_of_the_monitoring_ships_but_what_makes_and_shows_it() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "monitoring"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    kept = {
        file for file in listed if file.endswith(".py") or file.startswith("monitoring/preview/")
    }
    assert kept < set(listed)
    packed = {str(file) for file in shipped.files(ROOT) if file.parts[0] != "deploy"}
    assert packed == {"Procfile", "gunicorn.conf.py", *listed} - kept


def test_of_deploy_ships_what_the_monitoring_leads_to() -> None:
    readme = (ROOT / "monitoring" / "README.md").read_text()
    led_to = set(re.findall(r"\]\(\.\./(deploy/[\w./-]+)\)", readme))
    packed = {str(file) for file in shipped.files(ROOT)}
    assert len(led_to) > 3
    assert led_to <= packed


def test_token_beside_the_configuration_is_not_packed(tmp_path: Path) -> None:
    secrets = tmp_path / "monitoring" / "prometheus" / "secrets"
    secrets.mkdir(parents=True)
    for name in (".gitignore", "metrics_token", "token.yml"):
        (secrets / name).touch()
    assert shipped.files(tmp_path)[2:] == [Path("monitoring/prometheus/secrets/.gitignore")]


def test_files_inside_the_package_win_over_those_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shipped.root() == ROOT
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "app")
    inside = tmp_path / "app" / shipped.INSIDE
    inside.mkdir(parents=True)
    assert shipped.root() == inside
