"""The systemd units start what the Procfile starts, and systemd understands them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.main import REFUSED
from app.cli.probe import FAILED
from app.core.settings import Settings

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
README = ROOT / "deploy" / "README.md"
TIMER = UNITS / "vibebox-probe.timer"
INSTALLED = "/opt/vibebox/.venv/bin/"
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())


def settings(name: str) -> dict[str, str]:
    """Return the settings of a unit, of which those asked for stand there once."""
    lines = (UNITS / f"vibebox-{name}.service").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")


@pytest.mark.parametrize(
    ("unit", "setting", "process"),
    [
        ("web", "ExecStartPre", "release"),
        ("web", "ExecStart", "web"),
        ("agent", "ExecStart", "agent"),
    ],
)
def test_commands_are_those_of_the_procfile(unit: str, setting: str, process: str) -> None:
    assert settings(unit)[setting] == INSTALLED + PROCFILE[process]


def test_both_run_as_one_user_in_one_place_with_the_same_settings() -> None:
    web, agent = settings("web"), settings("agent")
    shared = ("User", "SupplementaryGroups", "WorkingDirectory", "EnvironmentFile")
    assert {key: web[key] for key in shared} == {key: agent[key] for key in shared}


def test_rounds_have_the_settings_of_the_service_and_come_when_they_are_awaited() -> None:
    web, probe = settings("web"), settings("probe")
    shared = ("User", "WorkingDirectory", "EnvironmentFile")
    assert {key: web[key] for key in shared} == {key: probe[key] for key in shared}
    assert probe["ExecStart"] == f"{INSTALLED}vibebox probe"
    assert probe["SuccessExitStatus"] == str(FAILED)

    (minutes,) = re.findall(r"^OnCalendar=\*:0/(\d+)$", TIMER.read_text(), re.MULTILINE)
    assert int(minutes) * 60 == Settings.model_fields["probe_interval"].default


def test_line_of_cron_is_of_the_same_installation() -> None:
    """Its user, its directory with .env in it, and where VibeBox is installed there."""
    text = (ROOT / "docs" / "operations.md").read_text()
    (line,) = re.findall(r"^\*/5 \* \* \* \* (.*)$", text, re.MULTILINE)
    web = settings("web")
    directory = web["WorkingDirectory"]
    program = INSTALLED.removeprefix(f"{directory}/")
    assert line.startswith(f"{web['User']} cd {directory} && {program}vibebox probe ")
    assert f"ln -s {web['EnvironmentFile']} {directory}/.env" in README.read_text()


def test_web_server_has_time_to_answer_what_it_has_accepted() -> None:
    graceful = Settings.model_fields["graceful_timeout"].default
    assert int(settings("web")["TimeoutStopSec"]) > graceful


@pytest.mark.parametrize("unit", ["web", "agent"])
def test_refused_start_is_not_tried_again(unit: str) -> None:
    assert settings(unit)["RestartPreventExitStatus"] == str(REFUSED)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this host has no systemd")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    programs = f"{Path(sys.executable).parent}/"
    files = []
    for unit in sorted(UNITS.iterdir()):
        file = tmp_path / unit.name
        file.write_text(unit.read_text().replace(INSTALLED, programs))
        files.append(str(file))
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [line for line in told.stderr.splitlines() if "vibebox" in line]
    assert (told.returncode, complaints) == (0, [])
