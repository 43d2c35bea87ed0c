"""`vibebox doctor` needs nothing but settings, and not even those to be right."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli.main import main
from app.doctor.build import NAMES

Examine = Callable[..., Result]


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Examine:
    """Runs the command where nothing is started, and nothing made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/none/vibebox.db")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))
    return lambda *options: CliRunner().invoke(main, ["doctor", *options])


def test_where_nothing_is_each_missing_thing_is_named(examine: Examine, tmp_path: Path) -> None:
    found = json.loads((result := examine("--json")).output)

    assert result.exit_code == 2 and found["outcome"] == "failed"
    wrong = {one["name"] for one in found["checks"] if one["outcome"] == "failed"}
    assert wrong == {"database", "docker", "metrics_directory"}
    assert all(one["next_step"] for one in found["checks"] if one["outcome"] == "failed")
    assert list(tmp_path.iterdir()) == []  # looking made none of it


def test_lines_are_for_people(examine: Examine) -> None:
    result = examine()

    lines = result.output.splitlines()
    assert lines[0].split() == ["settings", "ok", "All", "settings", "are", "valid."]
    database = next(number for number, line in enumerate(lines) if line.startswith("database"))
    assert lines[database].split()[1] == "failed"
    assert "vibebox migrate" in lines[database + 1]
    assert [line for line in lines if line.startswith("mail  ")]


def test_wrong_settings_are_all_that_is_said(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIBEBOX_TREADS", "8")
    monkeypatch.setenv("PORT", "none")
    result = examine("--json")

    first, *others = json.loads(result.output)["checks"]
    assert result.exit_code == 2
    assert first["outcome"] == "failed"
    assert "VIBEBOX_THREADS" in first["says"] and "PORT" in first["says"]
    assert [one["name"] for one in others] == list(NAMES[1:])
    assert {one["outcome"] for one in others} == {"skipped"}


def test_env_file_is_read_as_the_service_reads_it(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VIBEBOX_TREADS", "")  # what the command sets is taken back
    monkeypatch.delenv("VIBEBOX_TREADS")
    (tmp_path / ".env").write_text("VIBEBOX_TREADS=8\nDOCKER_HOST=tcp://other:1\n")
    result = examine("--json")

    assert result.exit_code == 2 and str(tmp_path / ".env") in result.stderr
    assert "did you mean VIBEBOX_THREADS" in json.loads(result.stdout)["checks"][0]["says"]


def test_env_file_that_cannot_be_read_is_named(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"PORT=\xff")
    result = examine()

    assert result.exit_code == 2 and f"{tmp_path / '.env'} cannot be read" in result.stderr
