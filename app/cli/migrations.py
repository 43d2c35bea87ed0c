"""`vibebox migrate` and `vibebox downgrade`: the schema of the database, forward and back."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from app.storage import Database
    from app.storage.losses import Loss


@click.command()
@click.option("--revision", default="head", show_default=True, help="Revision to upgrade to.")
def migrate(revision: str) -> None:
    """Bring the database to the schema that this release needs; doing it again changes nothing."""
    from app.storage import schema

    with _database() as database:
        before = schema.current_revision(database)
        schema.upgrade(database, revision)
        after = schema.current_revision(database)
        change = "is at" if before == after else f"went from {before or 'nothing'} to"
        newest = schema.expected_revision()
        newer = f", which serves this release's {newest} too" if after and after > newest else ""
        click.echo(f"{database.describe()} {change} schema revision {after}{newer}.")
        if after == newest:
            _tell_lost_ports(database)


@click.command()
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask: what is named as lost may be lost.")
def downgrade(revision: str, yes: bool) -> None:
    """Take the database back to REVISION (`base`: to nothing). What is dropped is lost.

    It names what that is, and asks first; without a terminal it needs --yes.
    """
    from app.storage import schema

    with _database() as database:
        if (schema.current_revision(database) or schema.BASE) == revision:
            click.echo(f"{database.describe()} is at schema revision {revision} already.")
            return
        lost = schema.downgrade_losses(database, revision)
        _tell(database.describe(), revision, lost)
        if lost and not yes:
            _ask()
        schema.downgrade(database, revision)
        click.echo(f"{database.describe()} is at schema revision {revision}.")


def _tell_lost_ports(database: "Database") -> None:
    """List the environments whose host ports no environment gets any more."""
    from app.environments import ports
    from app.environments.host_ports import host_ports
    from app.settings import load_settings

    ours = host_ports(load_settings()).ours
    with database.reading() as session:
        held = ports.held(session, ours)
    if held:
        click.echo(
            "These environments have a host port that is VibeBox's or reserved; they run on, and "
            "start again once their ports are changed:",
            err=True,
        )
    for one in held:
        click.echo(
            f"  {one.environment} ({one.environment_id}): {one.port}/{one.protocol} is "
            f"{ours[one.port]}",
            err=True,
        )


def _tell(described: str, revision: str, lost: "list[Loss]") -> None:
    """Name what the downgrade loses, on standard error."""
    if not lost:
        return
    click.echo(f"Taking {described} back to schema revision {revision} loses:", err=True)
    for loss in lost:
        click.echo(f"  {loss}", err=True)


def _ask() -> None:
    """Ask for consent; end the command where there is none, or nobody to ask."""
    if not at_terminal():
        raise click.UsageError(
            "Nothing was changed. Make a copy of the database, then run it with --yes."
        )
    click.confirm("Make a copy of the database first. Go on?", abort=True, err=True)


def at_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty()


@contextmanager
def _database() -> "Iterator[Database]":
    from app.settings import load_settings
    from app.storage import Database

    database = Database(load_settings().database_url)
    try:
        yield database
    finally:
        database.dispose()
