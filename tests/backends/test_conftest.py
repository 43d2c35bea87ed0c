"""What the shared fixtures promise: leaks are found, and CI leaves no service out."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends import leaks
from tests.backends.postgresql import PostgreSQL
from tests.backends.web import ROOT

pytestmark = pytest.mark.integration

LEAKING = """
    threading.Thread(target=time.sleep, args=(4,), name="forgotten", daemon=True).start()
    os.open("/etc/hostname", os.O_RDONLY)
    kept.append(subprocess.Popen(["sleep", "4.25"]))
"""


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


def test_leaks_fail_the_test_and_are_named(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, LEAKING)
    assert result.returncode == 1
    assert "the test leaves behind" in result.stdout
    for leaked in ("thread forgotten", "/etc/hostname", "sleep 4.25"):
        assert leaked in result.stdout


def test_what_ends_by_itself_is_no_leak() -> None:
    before = leaks.snapshot()
    thread = threading.Thread(target=time.sleep, args=(0.2,), name="brief")
    thread.start()
    assert leaks.leaked(before) == ["thread brief"]
    assert leaks.wait_for_none(before) == []
    thread.join()


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


@pytest.fixture(scope="module")
def setting_of_the_caller() -> Iterator[str]:
    """A setting in the environment of whoever runs the tests; set before any test begins."""
    name = "VIBEBOX_SET_BY_THE_CALLER"
    os.environ[name] = "yes"
    yield name
    os.environ.pop(name, None)


def test_settings_of_the_caller_are_hidden(setting_of_the_caller: str) -> None:
    assert setting_of_the_caller not in os.environ


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
