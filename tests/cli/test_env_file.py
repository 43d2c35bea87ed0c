"""Commands of whoever runs the service look at what the service has: its settings, its database."""

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from app.cli.main import main
from app.domain.secrets.values import new_key

NOBODY = "nobody@example.org"
LOOKING = {
    "accounts list": (),
    "accounts create": (NOBODY,),
    "accounts disable": (NOBODY,),
    "accounts enable": (NOBODY,),
    "accounts delete": (NOBODY, "--yes"),
    "accounts set-password": (NOBODY,),
    "accounts invite": (),
    "doctor": (),
    "downgrade": ("base",),
    "explain": ("HighAPILatency",),
    "operators grant": (NOBODY,),
    "operators revoke": (NOBODY,),
    "operators list": (),
    "probe": ("--url", "http://127.0.0.1:1"),
    "secrets rotate": (),
}
MAKING = {"migrate": (), "run": ()}
BUNDLE = {"support-bundle": ("bundle.tar.gz",)}
# The first need no settings; what the last ones are given is their supervisor's business.
OTHERS = {"settings", "metrics", "permissions", "monitoring write", "secrets new-key"} | {
    "agent",
    "exporter",
}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working directory; what is read of its .env is taken back."""
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "DATABASE_URL", "VIBEBOX_ARGON2_MEMORY_KIB", "VIBEBOX_PROBE_URL"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return tmp_path


def run(command: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*command.split(), *arguments])


def leaves(group: click.Group, names: set[str], before: str = "") -> set[str]:
    """Return the commands of a group, each with the names on the way to it."""
    found = set()
    for name in names:
        command = group.commands[name]
        if isinstance(command, click.Group):
            found |= leaves(command, set(command.commands), f"{before}{name} ")
        else:
            found.add(f"{before}{name}")
    return found


def test_every_command_of_the_host_is_among_these() -> None:
    ((_, _), (_, running)) = main._sections()
    assert leaves(main, set(running)) == {*LOOKING, *MAKING, *BUNDLE, *OTHERS}


@pytest.mark.parametrize("command", [*LOOKING, *MAKING, *BUNDLE])
def test_env_file_is_read(here: Path, command: str) -> None:
    (here / ".env").write_text("PORT=none\n")
    arguments = {**LOOKING, **MAKING, **BUNDLE}[command]
    result = run(command, *arguments)
    if command in BUNDLE:
        assert f"those of {here / '.env'}" in result.stderr
        return
    assert result.exit_code == 2 and "PORT: " in result.output, result.output
    if command != "run":  # which is where the file belongs
        assert f"those of {here / '.env'}" in result.stderr


@pytest.mark.parametrize("command", ["operators list", "run"])
@pytest.mark.parametrize(
    "content", [b"PORT=1\x002\n", b"'A=B'=c\n", b"PORT=\xe4\n"], ids=["NUL", "name", "byte"]
)
def test_env_file_that_no_environment_holds_is_named(
    here: Path, content: bytes, command: str
) -> None:
    (here / ".env").write_bytes(content)
    result = run(command)
    assert result.exit_code == 2
    assert f"{here / '.env'} cannot be read" in result.stderr and "correct it" in result.stderr


@pytest.mark.parametrize(
    ("command", "way"),
    # Of a directory that is another user's not even that is known, whether it has one.
    [
        ("operators list", "Path.is_file"),
        ("operators list", "dotenv_values"),
        ("run", "dotenv_values"),
    ],
)
def test_env_file_that_may_not_be_read_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch, command: str, way: str
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (here / ".env").touch()
    monkeypatch.setattr(f"app.cli.env_file.{way}", denied)
    result = run(command)
    assert result.exit_code == 2
    assert f"{here / '.env'} cannot be read (Permission denied)" in result.stderr
    assert "as the user of the service" in result.stderr


@pytest.mark.parametrize("command", ["operators list", "run"])
@pytest.mark.parametrize("mode", [0o1777, 0o755])
def test_env_file_that_another_user_has_put_where_anybody_may_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, mode: int, command: str
) -> None:
    (here / ".env").write_text("PORT=none\n")
    if os.getuid() == 0:  # of root's anybody reads
        os.chown(here / ".env", 65534, -1)
    here.chmod(mode)
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    result = run(command)
    assert result.exit_code == 2
    if mode == 0o755:
        assert "PORT: " in result.output
    else:
        assert f"{here / '.env'} is another user's" in result.stderr


def test_mark_in_front_of_an_env_file_is_no_part_of_it(here: Path) -> None:
    (here / ".env").write_bytes(b"\xef\xbb\xbfPORT=none\n")
    assert "PORT: " in run("operators list").output


@pytest.mark.parametrize("command", LOOKING)
def test_looking_makes_no_database(
    here: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("VIBEBOX_SECRET_KEYS", new_key())
    result = run(command, *LOOKING[command])
    assert result.exit_code in (1, 2), result.output
    assert not (here / "var").exists()
    if command != "explain":  # which has other sources
        assert f"There is no database {here}/var/vibebox.db." in result.output


def test_who_has_no_account_has_none_in_a_database_that_is_named(here: Path) -> None:
    (here / ".env").write_text("DATABASE_URL=sqlite:///mine.db\nVIBEBOX_ARGON2_MEMORY_KIB=8\n")
    assert run("migrate").exit_code == 0
    for command in ("operators grant", "accounts disable"):
        result = run(command, NOBODY)
        assert result.exit_code == 2
        assert f"No account has the e-mail address {NOBODY}" in result.stderr
        assert f"sqlite:///{here}/mine.db" in result.stderr
    assert f"no account in sqlite:///{here}/mine.db" in run("accounts delete", NOBODY).stdout


@pytest.mark.parametrize("probe", ["off", "cron"])
def test_account_that_the_next_round_makes_again(
    here: Path, monkeypatch: pytest.MonkeyPatch, probe: str
) -> None:
    (here / ".env").write_text(
        "VIBEBOX_ARGON2_MEMORY_KIB=8\nVIBEBOX_PROBE_URL=http://127.0.0.1:1\n"
    )
    assert run("migrate").exit_code == 0
    assert run("probe").exit_code == 1
    monkeypatch.setenv("VIBEBOX_PROBE", probe)
    result = run("accounts delete", "PROBE@vibebox.invalid", "--yes")
    assert result.exit_code == 0
    assert ("makes it again" in result.stderr) is (probe == "cron")
