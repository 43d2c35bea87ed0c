"""The Makefile, where it decides something."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.stack import PROFILE

ROOT = Path(__file__).parents[1]
OLD = """#!/bin/sh
case "$2" in *version_info*) exit 1 ;; *) echo 3.9.2 ;; esac
"""


def test_old_python_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    for name in ("Makefile", "setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "prefork_metrics").mkdir()
    shutil.copy(ROOT / "prefork_metrics/pyproject.toml", tmp_path / "prefork_metrics")
    python = tmp_path / "old-python"
    python.write_text(OLD)
    python.chmod(0o755)

    command = ["make", "prepare", f"PYTHON={python}"]
    # Not as the make that may have started this test is told to run.
    env = {"PATH": os.environ["PATH"]}
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30)

    assert ran.returncode == 2
    assert f"needs Python 3.11 or later; {python} is 3.9.2" in ran.stdout
    assert "make prepare PYTHON=python3.11" in ran.stdout
    assert not (tmp_path / ".venv").exists()


def told_by(*arguments: str, cwd: Path) -> str:
    """Return what make would run, or says."""
    command = ["make", "--no-print-directory", "--dry-run", "COMPOSE=compose", *arguments]
    env = {"PATH": os.environ["PATH"]}
    ran = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=30)
    return ran.stdout + ran.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory with the Makefile alone, whose recipes say what they are given."""
    text = (ROOT / "Makefile").read_text()
    shown = "".join(f"$(info {name}=$({name}))" for name in PROFILE)
    (tmp_path / "Makefile").write_text(
        text.replace("\t@scripts/compose-secrets\n", f"\t{shown}@true\n")
    )
    return tmp_path


@pytest.mark.parametrize("target", ["up", "demo"])
def test_profile_of_signals_is_made_whole_and_taken_away_again(target: str, checkout: Path) -> None:
    with_them = told_by(target, "PROFILE=signals", cwd=checkout)
    said = {f"{name}={value}" for name, value in PROFILE.items()}
    # The stack's stand-in for Loki is asked otherwise.
    assert said - {*with_them.splitlines()} == {"VIBEBOX_LOG_STORE_KIND=victorialogs"}
    assert "rm --stop --force grafana" in with_them
    without = told_by(target, cwd=checkout)
    assert not said & {*without.splitlines()}
    (removing,) = re.findall(r"rm --stop --force (.*)", without)
    assert removing.split()[1:] == ["collector", "jaeger", "loki"]
    (checkout / ".env").write_text("PORT=3000\nCOMPOSE_PROFILES=signals\n")
    assert told_by(target, cwd=checkout) == with_them


def test_profiles_that_are_not_there_are_refused(checkout: Path) -> None:
    assert "make up PROFILE=signals" in told_by("up", "PROFILE=logs", cwd=checkout)
    # What was started has to end in any case.
    assert "--profile signals down" in told_by("down", "PROFILE=logs", cwd=checkout)


@pytest.mark.parametrize("target", ["down", "logs"])
def test_every_profile_is_ended_and_shown(target: str, checkout: Path) -> None:
    assert "compose --profile demo --profile signals" in told_by(target, cwd=checkout)
