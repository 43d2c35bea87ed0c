"""`.env`: the settings of whoever starts the service by `vibebox run`, in its working directory.

Commands of whoever runs the service read it too: else they would look at another database than its
own. Its long-running processes do not: their supervisor gives the same to all of them.
"""

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import click
from dotenv import dotenv_values

if TYPE_CHECKING:
    from app.core.settings import Settings

NAME = ".env"


def read(file: Path) -> None:
    """Add what the file sets to the environment, which wins; nothing where there is none.

    Raises: click.UsageError where it may not be read, is anybody's, or sets what no environment
    holds.
    """
    try:
        _refuse_anybodys(file)
        # Some editors put a mark in front, which would be part of the first name.
        for name, value in dotenv_values(file, encoding="utf-8-sig").items():
            if value is not None:
                os.environ.setdefault(name, value)
    except OSError as error:
        raise _unread(file, error) from error
    except ValueError as error:
        raise click.UsageError(
            f"{file.absolute()} cannot be read ({error}): correct it."
        ) from error


def read_here() -> None:
    """Add what .env of the working directory sets, and say so: it may be another service's.

    Raises: click.UsageError, as `read`.
    """
    file = Path(NAME)
    try:
        if not file.is_file():
            return
    except OSError as error:  # the directory is somebody else's: `sudo -u` leaves one where it is
        raise _unread(file, error) from error
    read(file)
    click.echo(f"Settings that the environment lacks are those of {file.absolute()}.", err=True)


def _refuse_anybodys(file: Path) -> None:
    """Refuse what another user has put where anybody may, as in /tmp: what it sets is run as us.

    Raises: click.UsageError, OSError.
    """
    if not file.is_file() or not file.absolute().parent.stat().st_mode & stat.S_IWOTH:
        return
    owners = {file.lstat().st_uid, file.stat().st_uid}
    if not owners <= {0, os.geteuid()}:
        raise click.UsageError(
            f"{file.absolute()} is another user's, in a directory where anybody may write. Run "
            "this in that of the service."
        )


def _unread(file: Path, error: OSError) -> click.UsageError:
    return click.UsageError(
        f"{file.absolute()} cannot be read ({error.strerror}): run this as the user of the "
        "service, in its working directory."
    )


def settings() -> "Settings":
    """Return the settings of a command of whoever runs the service; .env is read for them.

    Raises: click.UsageError, SettingsError.
    """
    read_here()
    from app.wiring import load_settings

    return load_settings()
