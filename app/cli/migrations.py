"""`vibebox migrate` and `vibebox downgrade`: the schema of the database, forward and back."""

import sys
from typing import TYPE_CHECKING

import click

from app.cli import env_file
from app.cli.database import database

if TYPE_CHECKING:
    from app.core.settings import Settings
    from app.storage import Database
    from app.storage.losses import Loss


@click.command()
@click.option("--revision", default="head", show_default=True, help="Revision to upgrade to.")
def migrate(revision: str) -> None:
    """Bring the database to the schema of this release.

    Doing it again changes nothing.
    """
    from app.storage import schema

    settings = env_file.settings()
    with database(settings, must_exist=False) as opened:
        before = schema.current_revision(opened)
        schema.upgrade(opened, revision)
        after = schema.current_revision(opened)
        change = "is at" if before == after else f"went from {before or 'nothing'} to"
        newest = schema.expected_revision()
        newer = f", which serves this release's {newest} too" if after and after > newest else ""
        click.echo(f"{opened.describe()} {change} schema revision {after}{newer}.")
        if after == newest:
            _tell_lost_ports(settings, opened)


@click.command()
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask: what is named as lost may be lost.")
def downgrade(revision: str, yes: bool) -> None:
    """Take the database back to REVISION (`base`: to nothing). What is dropped is lost.

    It names what that is, and asks first; without a terminal it needs --yes.
    """
    from app.storage import schema

    with database(env_file.settings()) as opened:
        if (schema.current_revision(opened) or schema.BASE) == revision:
            click.echo(f"{opened.describe()} is at schema revision {revision} already.")
            return
        lost = schema.downgrade_losses(opened, revision)
        _tell(opened.describe(), revision, lost)
        if lost and not yes:
            _ask()
        schema.downgrade(opened, revision)
        click.echo(f"{opened.describe()} is at schema revision {revision}.")


def _tell_lost_ports(settings: "Settings", opened: "Database") -> None:
    """List the environments whose host ports no environment gets any more."""
    from app.domain.environments import ports
    from app.domain.environments.host_ports import host_ports

    ours = host_ports(settings).ours
    with opened.reading() as session:
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
