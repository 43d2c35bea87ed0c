"""The command line: what an operator does beside running the service."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from app._version import __version__
from app.cli import shipped
from app.cli.documents import BEGIN, END, renewed
from app.cli.main import main
from app.core.settings import Settings, example
from app.domain.authorization import permissions_table
from app.metrics.catalogue import reference_table
from app.storage import AuditEntry, Database, User
from app.storage.revisions import expected_revision
from app.web.welcome import lines

COMMANDS = (
    "accounts",
    "migrate",
    "downgrade",
    "settings",
    "metrics",
    "permissions",
    "operators",
    "monitoring",
    "run",
    "doctor",
    "support-bundle",
)


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


def run(runner: CliRunner, *arguments: str, **environment: str) -> Result:
    return runner.invoke(main, arguments, env=environment)


def migrated(runner: CliRunner, url: str) -> str:
    """What `vibebox migrate` says."""
    return run(runner, "migrate", DATABASE_URL=url).output


def assert_refused(result: Result) -> None:
    """Assert that the command ended with sentences and code 2."""
    assert result.exit_code == 2, result.output
    assert result.stderr.strip()
    assert "Traceback" not in result.output


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_command(runner: CliRunner, option: str) -> None:
    result = run(runner, option)

    assert result.exit_code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.output


def test_help_says_of_each_command_what_it_does(runner: CliRunner) -> None:
    result = runner.invoke(main, ["-h"], terminal_width=80)

    _, commands = result.output.split("Use VibeBox:")
    assert "..." not in commands  # no sentence is cut off


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(runner: CliRunner, command: str) -> None:
    result = run(runner, command, "--help")

    assert result.exit_code == 0
    assert main.commands[command].help


def test_version(runner: CliRunner) -> None:
    assert run(runner, "--version").output == f"vibebox, version {__version__}\n"


def test_migrating_again_changes_nothing(runner: CliRunner, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/vibebox.db"
    first, second = (run(runner, "migrate", DATABASE_URL=url) for _ in range(2))

    newest = expected_revision()
    assert first.output == f"{url} went from nothing to schema revision {newest}.\n"
    assert second.output == f"{url} is at schema revision {newest}.\n"
    assert (first.exit_code, second.exit_code) == (0, 0)


def test_downgrade_says_what_it_loses_and_needs_a_yes(runner: CliRunner, database_url: str) -> None:
    refused = run(runner, "downgrade", "base", DATABASE_URL=database_url)

    assert_refused(refused)
    assert "  installation, 1 row\n" in refused.stderr
    assert "--yes" in refused.stderr
    assert f"is at schema revision {expected_revision()}." in migrated(runner, database_url)

    done = run(runner, "downgrade", "base", "--yes", DATABASE_URL=database_url)

    assert (done.exit_code, done.stdout) == (0, f"{database_url} is at schema revision base.\n")
    assert "went from nothing" in migrated(runner, database_url)


@pytest.mark.parametrize(("answer", "code"), [("n\n", 130), ("y\n", 0)], ids=["no", "yes"])
def test_downgrade_asks_at_a_terminal(
    runner: CliRunner,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
) -> None:
    monkeypatch.setattr("app.cli.migrations.at_terminal", lambda: True)
    result = runner.invoke(
        main, ["downgrade", "base"], input=answer, env={"DATABASE_URL": database_url}
    )

    assert result.exit_code == code
    assert "Go on?" in result.stderr
    at = "went from nothing" if code == 0 else "is at schema"
    assert at in migrated(runner, database_url)


def test_downgrading_again_changes_nothing(runner: CliRunner, database_url: str) -> None:
    newest = expected_revision()
    again = run(runner, "downgrade", newest, DATABASE_URL=database_url)
    assert (again.exit_code, again.output) == (
        0,
        f"{database_url} is at schema revision {newest} already.\n",
    )

    run(runner, "downgrade", "base", "--yes", DATABASE_URL=database_url)
    again = run(runner, "downgrade", "base", DATABASE_URL=database_url)
    assert (again.exit_code, "base already" in again.output) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["downgrade", "9999"], "The schema cannot be migrated"),
        (["migrate", "--revision", "9999"], "The schema cannot be migrated"),
    ],
)
def test_unknown_revision_is_refused(
    runner: CliRunner, database_url: str, arguments: list[str], words: str
) -> None:
    result = run(runner, *arguments, DATABASE_URL=database_url)

    assert_refused(result)
    assert words in result.stderr


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["migrate"], "/proc/nowhere/x.db cannot be opened"),
        (["downgrade", "base"], "There is no database /proc/nowhere/x.db"),
    ],
    ids=["migrate", "downgrade"],
)
def test_database_that_cannot_be_opened_is_refused(
    runner: CliRunner, command: list[str], says: str
) -> None:
    result = run(runner, *command, DATABASE_URL="sqlite:////proc/nowhere/x.db")

    assert_refused(result)
    assert result.stderr.startswith(f"The database refuses VibeBox: {says}")


def test_every_bad_setting_is_listed(runner: CliRunner) -> None:
    result = run(runner, "migrate", PORT="x", VIBEBOX_THREDS="1")

    assert_refused(result)
    heading, *mistakes = result.stderr.splitlines()
    assert heading == "Settings are not valid:"
    assert [line.split(":")[0] for line in mistakes] == ["  PORT", "  VIBEBOX_THREDS"]


def test_settings_are_printed_or_written(runner: CliRunner, tmp_path: Path) -> None:
    file = tmp_path / "example"

    assert run(runner, "settings").output == example()
    assert run(runner, "settings", "--write", str(file)).exit_code == 0
    assert file.read_text() == example()


def test_settings_are_printed_also_where_they_are_wrong(runner: CliRunner) -> None:
    assert run(runner, "settings", PORT="x").exit_code == 0


def test_metrics_are_printed(runner: CliRunner) -> None:
    assert run(runner, "metrics").output == reference_table()


def test_metrics_touch_no_metrics_directory(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "app.cli", "metrics"]
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "none"), "PYTHONSAFEPATH": "1"}
    result = subprocess.run(arguments, env=environment, capture_output=True, text=True)

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == reference_table()


def test_metrics_renew_a_document(runner: CliRunner, tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"# Before\n{BEGIN}WRITTEN BEFORE\n{END}# After\n")

    for _ in range(2):
        assert run(runner, "metrics", "--write", str(file)).exit_code == 0

    text = file.read_text()
    assert text.startswith(f"# Before\n{BEGIN}") and text.endswith(f"{END}# After\n")
    assert reference_table() in text and "WRITTEN BEFORE" not in text


@pytest.mark.parametrize("document", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_document_without_marks_is_refused_untouched(
    runner: CliRunner, tmp_path: Path, document: str
) -> None:
    file = tmp_path / "README.md"
    file.write_text(document)

    assert_refused(run(runner, "metrics", "--write", str(file)))
    assert file.read_text() == document


def test_renewing_keeps_what_stands_around() -> None:
    assert renewed(f"a\n{BEGIN}x{END}b", "new\n") == f"a\n{BEGIN}\nnew\n\n{END}b"


@pytest.mark.parametrize("command", ["settings", "metrics", "permissions"])
def test_file_that_cannot_be_written_is_refused(
    runner: CliRunner, tmp_path: Path, command: str
) -> None:
    assert_refused(run(runner, command, "--write", str(tmp_path / "none" / "file")))


def test_run_without_its_own_files_is_refused_whatever_lies_here(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Procfile").write_text("web: touch started\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "site-packages" / "app")
    result = run(runner, "run")

    assert_refused(result)
    assert "site-packages/Procfile: install VibeBox anew." in result.stderr
    assert not (tmp_path / "started").exists()


def test_unknown_command_is_refused(runner: CliRunner) -> None:
    assert_refused(run(runner, "migrat"))


def test_welcome_says_where_things_are_without_secrets() -> None:
    settings = Settings(database_url="postgresql://ada:s3cr3t@db/vibebox", docker_required=False)
    welcome = lines("http://127.0.0.1:3000", settings)

    assert len(welcome) == 3
    text = "\n".join(welcome)
    assert "http://127.0.0.1:3000/openapi/swagger" in text
    assert "http://127.0.0.1:3000/health/ready" in text
    assert "(not required)" in text
    assert "s3cr3t" not in text


def test_permissions_are_printed_and_renewed(runner: CliRunner, tmp_path: Path) -> None:
    file = tmp_path / "permissions.md"
    file.write_text(f"# Before\n{BEGIN}OLD{END}")

    assert run(runner, "permissions").output == permissions_table()
    assert run(runner, "permissions", "--write", str(file)).exit_code == 0
    assert permissions_table() in file.read_text() and "OLD" not in file.read_text()


def test_operators_come_and_go(runner: CliRunner, database: Database, database_url: str) -> None:
    with database.writing() as session:
        session.add_all(User(email=f"{name}@example.org", password_hash="") for name in ("b", "a"))

    def operators(*arguments: str) -> Result:
        return run(runner, "operators", *arguments, DATABASE_URL=database_url)

    assert (operators("list").stdout, operators("list").exit_code) == ("", 0)
    assert f"{database.describe()} has no operator" in operators("list").stderr
    assert operators("grant", "A@example.org").output == "A@example.org is an operator now.\n"
    assert operators("grant", "b@example.org").exit_code == 0
    assert operators("list").output == "a@example.org\nb@example.org\n"
    assert operators("grant", "a@example.org").output == "a@example.org is an operator already.\n"
    assert operators("revoke", "a@example.org").output == "a@example.org is no operator now.\n"
    assert operators("list").output == "b@example.org\n"
    assert_refused(operators("grant", "nobody@example.org"))
    with database.reading() as session:
        done = [(entry.action, entry.actor) for entry in session.scalars(select(AuditEntry))]
    assert sorted(done) == [
        ("operator.grant", "vibebox"),
        ("operator.grant", "vibebox"),
        ("operator.revoke", "vibebox"),
    ]
