"""`vibebox probe` where no round can be made, and what it prints of one that fails."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli.main import main
from app.domain.probe.rounds import ProbeRounds
from app.storage import Database, ProbeRound

Probe = Callable[..., Result]
NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> Probe:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("VIBEBOX_ARGON2_MEMORY_KIB", "8")
    return lambda *options: CliRunner().invoke(main, ["probe", *options])


def test_round_that_fails_says_where_and_what_to_do(probe: Probe) -> None:
    result = probe("--url", f"{NOBODY}/")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert [line.split()[-3] for line in lines[:2]] == ["ok", "failed"]
    assert lines[2] == "Failed at the step sign in: Nothing listens at 127.0.0.1:1."
    assert lines[3].startswith("  Start the proxy")
    found = json.loads(probe("--url", NOBODY, "--json").output)
    assert (found["outcome"], found["step"]) == ("failure", "sign_in")
    assert list(found["seconds"]) == ["prepare", "sign_in"]


@pytest.mark.parametrize(
    ("probe_is", "options", "trial"),
    [
        ("off", (), "VIBEBOX_PROBE is off"),
        ("cron", (), None),
        ("cron", ("--url", f"{NOBODY}/", "--timeout", "120"), None),
        ("cron", ("--url", "http://127.0.0.1:2"), "an option says something else"),
        ("agent", ("--step-timeout", "1"), "an option says something else"),
    ],
    ids=["off", "as the settings are", "the same as the settings", "elsewhere", "in less time"],
)
def test_trial_counts_for_nothing_and_says_so(
    probe: Probe,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
    probe_is: str,
    options: tuple[str, ...],
    trial: str | None,
) -> None:
    monkeypatch.setenv("VIBEBOX_PROBE", probe_is)
    monkeypatch.setenv("VIBEBOX_PROBE_URL", NOBODY)
    result = probe(*options)
    assert result.exit_code == 1
    assert ("This was a trial" in result.output) is (trial is not None)
    assert (trial or "") in result.output
    assert json.loads(probe(*options, "--json").output)["trial"] is (trial is not None)
    database = Database(database_url)
    with database.reading() as session:
        assert session.query(ProbeRound).count() == (2 if trial is None else 0)
    database.dispose()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "--url, or VIBEBOX_PROBE_URL"),
        (("--url", "nonsense"), "--url: "),
        (("--url", NOBODY, "--timeout", "0"), "--timeout"),
        (("--url", NOBODY, "--step-timeout", "121"), "--step-timeout"),
        (("--url", "http://ada:secret@127.0.0.1:1"), "Has a login"),
    ],
)
def test_what_cannot_be_done_is_said(probe: Probe, options: tuple[str, ...], says: str) -> None:
    result = probe(*options)
    assert result.exit_code == 2 and says in result.output


def test_another_round_is_not_disturbed(probe: Probe, database_url: str) -> None:
    database = Database(database_url)
    ProbeRounds(database).begin("agent", 60)
    database.dispose()
    result = probe("--url", NOBODY)
    assert result.exit_code == 2 and "try again when it is through" in result.output


def test_database_that_is_not_there_is_the_first_step(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/none/vibebox.db")
    result = probe("--url", NOBODY)
    assert result.exit_code == 1 and "Failed at the step prepare: " in result.output
    assert "vibebox doctor" in result.output


def test_setting_without_an_address_refuses_the_start(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIBEBOX_PROBE", "agent")
    result = probe()
    assert result.exit_code == 2 and "VIBEBOX_PROBE: needs VIBEBOX_PROBE_URL" in result.output
