"""`vibebox accounts`: done twice it changes nothing, and says so."""

import json

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from app.cli.main import main
from app.storage import AuditEntry, Database, Invitation, User
from tests.support.checks import PASSWORD

ADA, BOB = "ada@example.org", "bob@example.org"


@pytest.fixture
def accounts(database_url: str, monkeypatch: pytest.MonkeyPatch) -> "type[Accounts]":
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("VIBEBOX_ARGON2_TIME_COST", "1")
    monkeypatch.setenv("VIBEBOX_ARGON2_MEMORY_KIB", "8")
    return Accounts


class Accounts:
    """Runs the commands."""

    @staticmethod
    def run(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(main, ["accounts", *arguments], input=stdin)

    @classmethod
    def good(cls, *arguments: str, stdin: str = "") -> str:
        result = cls.run(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.output


def audited(database: Database) -> list[tuple[str, str]]:
    with database.reading() as session:
        rows = session.execute(select(AuditEntry.actor, AuditEntry.action).order_by(AuditEntry.id))
        return [(actor, action) for actor, action in rows]


def test_operator_is_made_at_the_command_line(accounts: type[Accounts], database: Database) -> None:
    said = accounts.good("create", ADA, "--operator", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert said == f"{ADA} has an account now, and is an operator.\n"
    again = accounts.good("create", ADA, "--operator")
    assert again == f"{ADA} has an account already.\n"

    with database.reading() as session:
        (user,) = session.scalars(select(User))
    assert (user.email, user.is_operator) == (ADA, True)
    assert audited(database) == [("vibebox", "account.create")]


def test_password_is_made_where_nobody_gives_one(accounts: type[Accounts]) -> None:
    said = accounts.good("create", ADA).splitlines()

    assert said[0] == f"{ADA} has an account now."
    assert said[1].startswith("Its password: ") and len(said[1]) > len("Its password: ") + 12


def test_somebodys_account_becomes_no_operators_by_the_way(
    accounts: type[Accounts], database: Database
) -> None:
    accounts.good("create", ADA)
    result = accounts.run("create", ADA, "--operator")

    assert result.exit_code == 2 and "vibebox operators grant" in result.output
    with database.reading() as session:
        assert session.scalars(select(User.is_operator)).all() == [False]


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [("ada", PASSWORD, "e-mail address"), (ADA, "short", "at least 12"), (ADA, "", "at least 12")],
)
def test_bad_address_or_password_is_told_in_a_sentence(
    accounts: type[Accounts], email: str, password: str, said: str
) -> None:
    result = accounts.run("create", email, "--password-stdin", stdin=f"{password}\n")

    assert result.exit_code == 2 and said in result.output


def test_accounts_are_disabled_enabled_and_listed(accounts: type[Accounts]) -> None:
    accounts.good("create", ADA, "--operator")
    accounts.good("create", BOB)
    assert accounts.good("disable", BOB) == f"{BOB} is disabled now.\n"
    assert accounts.good("disable", BOB) == f"{BOB} is disabled already.\n"
    listed = accounts.good("list").splitlines()
    assert listed[0].split()[:2] == ["E-MAIL", "STATE"]
    assert [line.split()[:2] for line in listed[1:]] == [[BOB, "disabled"], [ADA, "operator"]]
    assert accounts.good("enable", BOB) == f"{BOB} is enabled now.\n"
    assert accounts.good("enable", BOB) == f"{BOB} is enabled already.\n"
    (found,) = json.loads(accounts.good("list", "--search", "bob", "--json"))
    assert (found["email"], found["disabled_at"]) == (BOB, None)


def test_last_operator_is_not_taken_away(accounts: type[Accounts]) -> None:
    accounts.good("create", ADA, "--operator")
    for arguments in (("disable", ADA), ("delete", ADA, "--yes")):
        result = accounts.run(*arguments)
        assert result.exit_code == 2 and "vibebox operators grant" in result.output
    revoked = CliRunner().invoke(main, ["operators", "revoke", ADA])
    assert (
        revoked.exit_code == 0
        and "has no operator; `vibebox operators grant EMAIL`" in revoked.stderr
    )


def test_account_is_deleted_once_and_only_after_a_yes(accounts: type[Accounts]) -> None:
    accounts.good("create", ADA)
    refused = accounts.run("delete", ADA)
    assert refused.exit_code == 2 and "--yes" in refused.output
    assert accounts.good("delete", ADA, "--yes") == f"{ADA} has no account any more.\n"
    assert accounts.good("delete", ADA, "--yes").startswith(f"{ADA} has no account in sqlite:")


def test_password_is_set(accounts: type[Accounts], database: Database) -> None:
    accounts.good("create", ADA)
    said = accounts.good("set-password", ADA, stdin=f"{PASSWORD}\n")
    assert said == f"{ADA} has another password now; its logins have ended.\n"
    assert accounts.run("set-password", BOB).exit_code == 2
    assert audited(database)[-1] == ("vibebox", "account.password_set")


def test_invitation_is_printed(accounts: type[Accounts], database: Database) -> None:
    path = accounts.good("invite", "--email", ADA, "--operator", "--days", "2").splitlines()[-1]

    assert path.startswith("/sign-in#invitation=vbx_in_")
    with database.reading() as session:
        (made,) = session.scalars(select(Invitation))
    assert (made.email, made.operator, made.created_by) == (ADA, True, None)
    assert accounts.run("invite", "--email", "ada").exit_code == 2


def test_database_without_a_schema_is_named(
    accounts: type[Accounts],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    empty = tmp_path_factory.mktemp("empty") / "vibebox.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{empty}")
    result = accounts.run("list")

    assert result.exit_code == 2 and "vibebox migrate" in result.output
