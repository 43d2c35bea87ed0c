"""`vibebox secrets`: the keys of secret environment variables."""

import sys

import click

from app.cli import env_file
from app.cli.database import database

UNREADABLE = 1


@click.group()
def secrets() -> None:
    """Make keys of secret environment variables; change them."""


@secrets.command("new-key")
def new_key() -> None:
    """Print a new key; put it in front of those in VIBEBOX_SECRET_KEYS."""
    from app.domain.secrets import values

    click.echo(values.new_key())


@secrets.command()
def rotate() -> None:
    """Encrypt every stored secret with the first key; doing it again changes nothing."""
    from app.domain.secrets.rotation import rotate as rotate_all
    from app.domain.secrets.values import SecretValues

    settings = env_file.settings()
    with database(settings) as opened:
        result = rotate_all(opened, SecretValues(settings.secret_keys))
    click.echo(
        f"{result.renewed} secrets encrypted anew; {result.current} were encrypted with the first "
        "key already."
    )
    if result.unreadable:
        click.echo("No key decrypts the secrets of these environments:", err=True)
        click.echo("\n".join(result.unreadable), err=True)
        sys.exit(UNREADABLE)
