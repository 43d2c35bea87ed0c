"""`vibebox operators`: who may set quotas and read the whole audit log."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from app.cli import screen

if TYPE_CHECKING:
    from app.storage import Database


@click.group()
def operators() -> None:
    """Name the accounts that may set quotas and read the whole audit log."""


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
    from app.accounts import operators as rules

    with _database() as database:
        for email in rules.operators(database):
            click.echo(screen.line(email))


def _set(email: str, *, operator: bool) -> None:
    from app.accounts import operators as rules

    with _database() as database:
        changed = rules.set_operator(database, email, operator=operator)
    became = "is an operator" if operator else "is no operator"
    click.echo(f"{email} {became}{' now' if changed else ' already'}.")


@contextmanager
def _database() -> Iterator["Database"]:
    from app.settings import load_settings
    from app.storage import Database

    database = Database(load_settings().database_url)
    try:
        yield database
    finally:
        database.dispose()
