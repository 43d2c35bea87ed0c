"""What the shared fixtures promise: leaks are found, and CI leaves no service out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.postgresql import PostgreSQL
from tests.services.web import ROOT

LEAKS = {
    "thread": (
        "threading.Thread(target=time.sleep, args=(4,), name='forgotten', daemon=True).start()",
        "thread forgotten",
    ),
    "descriptor": ("os.open('/etc/hostname', os.O_RDONLY)", "/etc/hostname"),
    "process": ("kept.append(subprocess.Popen(['sleep', '4.25']))", "sleep 4.25"),
}


def run_pytest(directory: Path, body: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a test with this body in a pytest of its own, with our fixtures."""
    file = directory / "test_inner.py"
    imports = "import os, subprocess, threading, time\nkept = []\n"
    file.write_text(f"{imports}\ndef test_inner(request):\n    {body}\n")
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", "setup.cfg", "-q"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={directory}", str(file)],
        cwd=ROOT,
        env={**os.environ, "CI": "false", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("kind", LEAKS)
def test_leak_fails_the_test_and_is_named(kind: str, tmp_path: Path) -> None:
    body, description = LEAKS[kind]
    result = run_pytest(tmp_path, body)
    assert result.returncode == 1
    assert "the test leaves behind" in result.stdout
    assert description in result.stdout


def test_what_ends_by_itself_is_no_leak(tmp_path: Path) -> None:
    body = "threading.Thread(target=time.sleep, args=(0.3,)).start()"
    assert run_pytest(tmp_path, body).returncode == 0


def test_missing_service_is_left_out_and_named(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, "request.getfixturevalue('docker_engine')", PATH="/nowhere")
    assert result.returncode == 0
    assert "1 skipped" in result.stdout
    assert "left out: Docker Engine (" in result.stdout
    assert "make test-services installs it" in result.stdout


def test_missing_service_fails_in_ci(tmp_path: Path) -> None:
    body = "request.getfixturevalue('prometheus')"
    result = run_pytest(tmp_path, body, PATH="/nowhere", CI="true")
    assert result.returncode == 1
    assert "in CI no service may be left out" in result.stdout


def test_settings_of_the_caller_are_hidden(tmp_path: Path) -> None:
    body = "assert 'PORT' not in os.environ and 'VIBEBOX_THREADS' not in os.environ"
    assert run_pytest(tmp_path, body, PORT="1", VIBEBOX_THREADS="1").returncode == 0


@pytest.mark.integration
def test_suspended_service_is_resumed_though_the_test_failed(tmp_path: Path) -> None:
    if PostgreSQL.installed():
        pytest.skip("PostgreSQL is not installed")
    body = (
        "service = request.getfixturevalue('postgresql'); service.suspend(); assert 0\n"
        "def test_next(postgresql): postgresql.new_database()"
    )
    result = run_pytest(tmp_path, body)
    assert "1 failed, 1 passed" in result.stdout
