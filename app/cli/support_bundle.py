"""`vibebox support-bundle`: the facts of an installation in one file, without its secrets."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli import env_file, screen
from app.cli.doctor import opened, without_settings

if TYPE_CHECKING:
    from app.doctor.bundle.subject import Subject

_STDOUT = Path("-")
_NAME = "vibebox-support"


@click.command("support-bundle")
@click.argument("target", metavar="[FILE]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--log",
    "log_files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="File with log lines, whose last ones go along; may be given several times.",
)
def support_bundle(target: Path | None, log_files: tuple[Path, ...]) -> None:
    """Write the facts of an installation, for whoever helps.

    Versions, settings, the doctor's answer, a scrape, alerts and log lines go to FILE, a tar.gz
    that only you may read (by default vibebox-support-TIME.tar.gz here; - is standard output).
    Secrets are left out. Works while the service is down, as `vibebox doctor` does.
    """
    target = target or Path(f"{_NAME}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz")
    try:
        missing = _written(target, log_files)
    except FileExistsError:
        raise click.UsageError(f"{target} is there already: name another file.") from None
    except OSError as error:
        raise click.UsageError(f"{target} cannot be written: {error.strerror}.") from error
    for line in missing:
        click.echo(f"Missing: {screen.line(line)}", err=True)
    if target != _STDOUT:
        click.echo(f"Wrote {target}. Look through it before you give it away.", err=True)


def _written(target: Path, log_files: tuple[Path, ...]) -> list[str]:
    """Write the archive; return what is missing in it. Raises: OSError."""
    env_file.read_here()
    # As it is now: what is secret is taken from it, whether or not the settings are valid.
    environment = dict(os.environ)
    with _subject(log_files) as subject:
        from app.doctor.bundle.archive import fill, write

        if target != _STDOUT:
            return write(target, subject, environment)
        # A pipe cannot be written to as archives are.
        whole = BytesIO()
        missing = fill(whole, _NAME, subject, environment)
    sys.stdout.buffer.write(whole.getvalue())
    sys.stdout.buffer.flush()
    return missing


@contextmanager
def _subject(log_files: tuple[Path, ...]) -> "Iterator[Subject]":
    """Return the installation, open for as long as the block."""
    from app.core.errors import SettingsError
    from app.wiring import load_settings

    try:
        settings = load_settings()
    except SettingsError as error:
        found = without_settings(error)
        from app.doctor.bundle.subject import Subject

        yield Subject(found, log_files)
        return
    with opened(settings) as (examining, database):
        from app.doctor.bundle.subject import Subject
        from app.stores.build import build

        yield Subject(examining.examine(), log_files, settings, database, build(settings))
