"""`vibebox operators`: who looks after the service: accounts, quotas, the whole audit log."""

from typing import TYPE_CHECKING

import click

from app.cli import env_file, screen
from app.cli.database import database

if TYPE_CHECKING:
    from app.storage import Database


@click.group()
def operators() -> None:
    """Name operators: the accounts that look after the service.

    They may look after accounts and quotas, and read the whole audit log.
    """


@operators.command()
@click.argument("email")
def grant(email: str) -> None:
    """Make the account of EMAIL an operator."""
    _set(email, operator=True)


@operators.command()
@click.argument("email")
def revoke(email: str) -> None:
    """Take the rights of an operator from the account of EMAIL."""
    _set(email, operator=False)


@operators.command("list")
def list_() -> None:
    """Print the e-mail addresses of the operators."""
    from app.domain.accounts import operators as rules

    with database(env_file.settings()) as opened:
        found = rules.operators(opened)
        if not found:
            click.echo(_without(opened), err=True)
    for email in found:
        click.echo(screen.line(email))


def _set(email: str, *, operator: bool) -> None:
    from app.domain.accounts import operators as rules

    with database(env_file.settings()) as opened:
        changed = rules.set_operator(opened, email, operator=operator)
        missing = None if rules.operators(opened) else _without(opened)
    became = "is an operator" if operator else "is no operator"
    click.echo(f"{email} {became}{' now' if changed else ' already'}.")
    if missing is not None:
        click.echo(missing, err=True)


def _without(opened: "Database") -> str:
    return f"{opened.describe()} has no operator; `vibebox operators grant EMAIL` names one."
