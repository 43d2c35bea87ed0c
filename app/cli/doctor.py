"""`vibebox doctor`: what is wrong with the installation, also while the service is down.

It reads settings and looks for itself; the web server is one of the things that it looks at.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from app.cli import env_file, screen

if TYPE_CHECKING:
    from app.core.errors import SettingsError
    from app.core.settings import Settings
    from app.doctor.answer import CheckView, Examination
    from app.doctor.examination import Doctor
    from app.storage import Database

CODES = {"ok": 0, "warning": 1, "failed": 2}
"""Exit codes, by the worst that was found."""
_CONNECTIONS = 6
"""To the database: one for each check that asks it."""
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the answer of the API.")
def doctor(as_json: bool) -> None:
    """Say what is wrong with this installation, and what to do.

    Works while the web server is down: run it with the settings of the service, in its working
    directory, whose .env is read as by `vibebox run`. Ends with code 0 where all is well, 1 where
    something may be wrong, 2 where something is.
    """
    env_file.read_here()
    found = examined()
    if as_json:
        click.echo(screen.json_text(found.model_dump_json(indent=2)))
    else:
        for line in told(found):
            click.echo(line)
    sys.exit(CODES[found.outcome])


def examined() -> "Examination":
    """Return what the doctor finds. Raises nothing of what it looks at."""
    from app.core.errors import SettingsError
    from app.wiring import load_settings

    try:
        settings = load_settings()
    except SettingsError as error:
        return without_settings(error)
    with opened(settings) as (examining, _):
        return examining.examine()


def without_settings(error: "SettingsError") -> "Examination":
    """Return the answer where nothing can be looked at, for want of settings."""
    _leave_metrics_alone()
    from app.doctor.build import NAMES
    from app.doctor.examination import only_settings

    return only_settings(error.mistakes, NAMES)


def _leave_metrics_alone() -> None:
    """Keep the client of the metrics, which is imported next, from opening files of its own."""
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)


@contextmanager
def opened(settings: "Settings") -> "Iterator[tuple[Doctor, Database]]":
    """Open what the checks look by, for the block; nothing is asked before somebody does."""
    _leave_metrics_alone()
    from app.doctor.build import build
    from app.stores.build import build as build_stores
    from app.wiring import open_database, open_engine

    database = open_database(settings, max(_CONNECTIONS, settings.db_pool_size), must_exist=True)
    engine = open_engine(settings)
    examining = build(settings, database, engine, build_stores(settings))
    try:
        yield examining, database
    finally:
        examining.close()
        engine.close()
        database.dispose()


def told(found: "Examination") -> "Iterator[str]":
    """Yield a line for each check, and one below it for its next step."""
    width = max(len(check.name) for check in found.checks)
    for check in found.checks:
        yield _line(check, width)
        if check.next_step:
            yield f"{'':{width}}  {'':14}  {screen.line(check.next_step)}"


def _line(check: "CheckView", width: int) -> str:
    outcome = check.outcome.replace("_", " ")
    shown = click.style(f"{outcome:14}", fg=_COLOURS.get(check.outcome))
    return f"{check.name.replace('_', ' '):{width}}  {shown}  {screen.line(check.says)}"
