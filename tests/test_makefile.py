"""The Makefile, where it decides something."""

import shutil
import subprocess
from pathlib import Path

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
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)

    assert ran.returncode == 2
    assert f"needs Python 3.11 or later; {python} is 3.9.2" in ran.stdout
    assert "make prepare PYTHON=python3.11" in ran.stdout
    assert not (tmp_path / ".venv").exists()
