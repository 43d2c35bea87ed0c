"""`vibebox secrets`: the keys of secret environment variables."""

import sys

import click

UNREADABLE = 1


@click.group()
def secrets() -> None:
    """Make keys for secret environment variables, and change to a new one."""


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
    from app.storage import Database
    from app.wiring import load_settings

    settings = load_settings()
    database = Database(settings.database_url)
    try:
        result = rotate_all(database, SecretValues(settings.secret_keys))
    finally:
        database.dispose()
    click.echo(
        f"{result.renewed} secrets encrypted anew; {result.current} were encrypted with the first "
        "key already."
    )
    if result.unreadable:
        click.echo("No key decrypts the secrets of these environments:", err=True)
        click.echo("\n".join(result.unreadable), err=True)
        sys.exit(UNREADABLE)
