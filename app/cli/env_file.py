"""`.env`: the settings of whoever starts the service by `vibebox run`, in its working directory."""

import os
from pathlib import Path

import click
from dotenv import dotenv_values

NAME = ".env"


def read(file: Path) -> None:
    """Add what the file sets to the environment, which wins; nothing where there is none."""
    for name, value in dotenv_values(file).items():
        if value is not None:
            os.environ.setdefault(name, value)


def read_here() -> None:
    """Add what .env of the working directory sets, and say so: it may be another service's.

    Raises: click.UsageError where it may not be read.
    """
    file = Path(NAME)
    if not file.is_file():
        return
    try:
        read(file)
    except (OSError, UnicodeError) as error:
        raise click.UsageError(
            f"{file.absolute()} cannot be read ({error}): run this as the user of the service."
        ) from error
    click.echo(f"Settings that the environment lacks are those of {file.absolute()}.", err=True)
