"""`vibebox accounts`: accounts in the hands of whoever has the database."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from app.cli import env_file
from app.cli.database import database
from app.core.errors import EmailTakenError, UserNotFoundError

if TYPE_CHECKING:
    from app.core.settings import Settings
    from app.domain.accounts.administration import AccountOf, Administration
    from app.storage import Database

_PAGE = 100
# More than anybody could guess, and few enough to type.
_PASSWORD_BYTES = 15
_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from stdin.")


@click.group()
def accounts() -> None:
    """Look after accounts: list, make, disable, delete them."""


@accounts.command("list")
@click.option("--search", help="Only those whose e-mail address has this in it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def list_(search: str | None, as_json: bool) -> None:
    """Print all accounts, newest first."""
    from dataclasses import asdict

    from app.cli.client import output

    found: list[AccountOf] = []
    with _administration() as administration:
        while True:
            page = administration.list(None, search=search, limit=_PAGE, offset=len(found))
            found += page.items
            if not page.items or len(found) >= page.total:
                break
    if as_json:
        output.document([{key: _plain(v) for key, v in asdict(one).items()} for one in found])
        return
    headings = ("E-MAIL", "STATE", "ENVIRONMENTS", "SINCE", "LAST SEEN")
    output.table(headings, [_row(one) for one in found])


@accounts.command()
@click.argument("email")
@click.option("--operator", is_flag=True, help="Let it look after the service.")
@_stdin
def create(email: str, operator: bool, password_stdin: bool) -> None:
    """Make the account of EMAIL, whoever may register.

    Asks for a password; without a terminal it takes the first line of standard input, and makes and
    prints one where there is none.
    """
    with _administration() as administration:
        if _known(administration, email, operator):
            click.echo(f"{email} has an account already.")
            return
        password, made = _new_password(email, password_stdin)
        try:
            administration.create(email, password, operator=operator)
        except EmailTakenError:
            click.echo(f"{email} has an account already.")
            return
    click.echo(f"{email} has an account now{', and is an operator' if operator else ''}.")
    _tell(made)


@accounts.command()
@click.argument("email")
def disable(email: str) -> None:
    """Let no credential of the account of EMAIL be good: logins end, API keys rest."""
    with _administration() as administration:
        account = administration.get(None, administration.id_of(email))
        administration.disable(None, account.id)
    click.echo(f"{email} is disabled{' already' if account.disabled_at else ' now'}.")


@accounts.command()
@click.argument("email")
def enable(email: str) -> None:
    """Let the account of EMAIL sign in again."""
    with _administration() as administration:
        account = administration.get(None, administration.id_of(email))
        administration.enable(None, account.id)
    click.echo(f"{email} is enabled{' now' if account.disabled_at else ' already'}.")


@accounts.command()
@click.argument("email")
@click.option("--transfer-to", metavar="EMAIL", help="Who gets its environments and teams.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(email: str, transfer_to: str | None, yes: bool) -> None:
    """Delete the account of EMAIL, with its logins and API keys.

    One that owns environments, or is a team's only admin, is not deleted unless another account
    gets them.
    """
    settings = env_file.settings()
    with database(settings) as opened:
        administration = _administered(settings, opened)
        try:
            account_id = administration.id_of(email)
        except UserNotFoundError:
            click.echo(f"{email} has no account in {opened.describe()}.")
            return
        heir = administration.id_of(transfer_to) if transfer_to else None
        if not yes:
            _ask(f"Delete the account of {email}?")
        administration.delete(None, account_id, heir)
    click.echo(f"{email} has no account any more.")
    if settings.probe != "off" and email.lower() == settings.probe_account.lower():
        click.echo(
            f"The next round of the synthetic user makes it again: VIBEBOX_PROBE is "
            f"{settings.probe}. Switch it off, then delete the account.",
            err=True,
        )


@accounts.command("set-password")
@click.argument("email")
@_stdin
def set_password(email: str, password_stdin: bool) -> None:
    """Give the account of EMAIL another password, and end all its logins.

    Asks for it; without a terminal it takes the first line of standard input, and makes and prints
    one where there is none.
    """
    with _administration() as administration:
        account_id = administration.id_of(email)
        password, made = _new_password(email, password_stdin)
        administration.set_password(None, account_id, password)
    click.echo(f"{email} has another password now; its logins have ended.")
    _tell(made)


@accounts.command()
@click.option("--email", help="Who alone may use it; left out: anybody.")
@click.option("--operator", is_flag=True, help="Make its account an operator.")
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 90), help="Its life.")
def invite(email: str | None, operator: bool, days: int) -> None:
    """Print a link with which one account can be made, once, whoever may register."""
    from datetime import timedelta

    from app.domain.accounts.invitations import make
    from app.storage import now

    if email is not None:
        _checked(email, "x" * 12)
    with database(env_file.settings()) as opened, opened.writing() as session:
        life = timedelta(days=days)
        made = make(session, None, email=email, operator=operator, expires_at=now(session) + life)
    click.echo(f"Open this below the address of your VibeBox, within {days} days:")
    click.echo(made.path)


@contextmanager
def _administration() -> "Iterator[Administration]":
    settings = env_file.settings()
    with database(settings) as opened:
        yield _administered(settings, opened)


def _administered(settings: "Settings", opened: "Database") -> "Administration":
    """Return what administers accounts. Raises: SchemaRevisionError, StorageError."""
    from app.domain.accounts.administration import Administration
    from app.domain.accounts.passwords import Passwords
    from app.domain.quotas.build import build_checks
    from app.storage import schema

    passwords = Passwords(
        time_cost=settings.argon2_time_cost, memory_kib=settings.argon2_memory_kib
    )
    schema.check(opened)
    return Administration(opened, passwords, build_checks(settings).check_account)


def _known(administration: "Administration", email: str, operator: bool) -> bool:
    """Tell whether there is such an account; one must not become an operator by the way."""
    try:
        account = administration.get(None, administration.id_of(email))
    except UserNotFoundError:
        return False
    if operator and not account.is_operator:
        raise click.UsageError(
            f"{email} has an account already, and is no operator. If it is whom you mean, run "
            f"`vibebox operators grant {email}`."
        )
    return True


def _new_password(email: str, from_stdin: bool) -> tuple[str, str | None]:
    """Return a good password, and the same again where it was made here."""
    if not from_stdin and sys.stdin.isatty():
        asked = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return _checked(email, str(asked)), None
    line = sys.stdin.readline().rstrip("\r\n")
    if line or from_stdin:
        return _checked(email, line), None
    made = secrets.token_urlsafe(_PASSWORD_BYTES)
    return _checked(email, made), made


def _tell(made: str | None) -> None:
    if made is not None:
        click.echo(f"Its password: {made}")


def _checked(email: str, password: str) -> str:
    """Return the password. Raises: click.UsageError where one of the two breaks a rule."""
    from pydantic import ValidationError

    from app.core.sentences import place, sentence
    from app.web.api.schemas.auth import Registration

    try:
        Registration(email=email, password=password)
    except ValidationError as error:
        found = [f"{place(one)}: {sentence(one)}" for one in map(dict, error.errors())]
        raise click.UsageError("\n".join(found)) from None
    return password


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("Nothing was changed. There is no terminal to ask; use --yes.")
    click.confirm(question, abort=True)


def _row(one: "AccountOf") -> tuple[str, str, int, str, str]:
    state = "operator" if one.is_operator else "synthetic" if one.is_synthetic else ""
    if one.disabled_at is not None:
        state = "disabled"
    since, seen = _day(one.created_at), _day(one.last_authenticated_at)
    return one.email, state, one.environments, since, seen


def _day(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d") if moment else "never"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
