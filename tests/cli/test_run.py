"""`vibebox run`, where it decides something; the service itself is run by others."""

import shlex
import sys
from pathlib import Path

import pytest

from app.cli.run import _commands, _engine_trouble
from app.core.settings import Settings

MODULE = [sys.executable, "-P", "-m"]


def test_processes_are_those_of_the_procfile_and_import_nothing_from_here(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text(
        "release: vibebox migrate\n"
        "web: gunicorn -c gunicorn.conf.py app.wsgi:app\n"
        "agent: vibebox agent\n"
        "other: sleep '1 2'\n"
    )
    assert [shlex.split(command) for command in _commands(tmp_path)] == [
        [*MODULE, "app.web.serve", "-c", str(tmp_path / "gunicorn.conf.py"), "app.wsgi:app"],
        [*MODULE, "app.cli", "agent"],
        ["sleep", "1 2"],
    ]


def test_missing_socket_of_docker_is_told_with_the_next_step(tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/docker.sock"
    trouble = _engine_trouble(Settings(docker_host=host))

    assert trouble is not None and f"DOCKER_HOST={host}" in trouble
    assert "systemctl start docker" in trouble and "Try again later" not in trouble


def test_gunicorn_of_run_leaves_the_path_of_modules_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.web.serve import Server

    configuration = tmp_path / "conf.py"
    configuration.write_text(f"chdir = {str(tmp_path)!r}\n")
    monkeypatch.setattr(sys, "argv", ["gunicorn", "-c", str(configuration), "app.wsgi:app"])
    monkeypatch.chdir("/")
    before = list(sys.path)
    server = Server()
    assert (Path.cwd(), sys.path, server.app_uri) == (tmp_path, before, "app.wsgi:app")
