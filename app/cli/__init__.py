"""The command line `vibebox`: what an operator does beside running the service."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app._version import __version__
from app.cli.documents import renewed
from app.errors import SettingsError, VibeBoxError

if TYPE_CHECKING:
    from app.settings import Settings

REFUSED = 2


class _Commands(click.Group):
    """Shows an error of ours as sentences instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            click.echo("\n  ".join(["Settings are not valid:", *error.mistakes]), err=True)
        except VibeBoxError as error:
            click.echo(f"{error.title}: {error}", err=True)
        sys.exit(REFUSED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vibebox")
def main() -> None:
    """Run and look after a VibeBox service. Settings come from the environment."""


@main.command()
@click.option("--revision", default="head", show_default=True, help="Revision to upgrade to.")
def migrate(revision: str) -> None:
    """Bring the database to the schema that this release needs; doing it again changes nothing."""
    from app.settings import load_settings
    from app.storage import Database, schema

    database = Database(load_settings().database_url)
    try:
        before = schema.current_revision(database)
        schema.upgrade(database, revision)
        after = schema.current_revision(database)
        change = "is at" if before == after else f"went from {before or 'nothing'} to"
        click.echo(f"{database.describe()} {change} schema revision {after}.")
    finally:
        database.dispose()


@main.command()
@click.argument("revision")
def downgrade(revision: str) -> None:
    """Take the database back to REVISION (`base`: to nothing). What is dropped is lost."""
    from app.settings import load_settings
    from app.storage import Database, schema

    database = Database(load_settings().database_url)
    try:
        schema.downgrade(database, revision)
        click.echo(f"{database.describe()} is at schema revision {revision}.")
    finally:
        database.dispose()


@main.command()
@click.option("--write", "target", type=click.Path(path_type=Path), help="File to write to.")
def settings(target: Path | None) -> None:
    """Print every setting with its help and default, as .env.example has them."""
    from app.settings import example

    if target is None:
        click.echo(example(), nl=False)
    else:
        _write(target, example())


@main.command()
@click.option(
    "--write", "target", type=click.Path(path_type=Path, exists=True), help="Document to renew."
)
def metrics(target: Path | None) -> None:
    """Print the table of metric families, or renew it between its marks in a document."""
    # The metrics client would open files of its own in there.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    from app.telemetry.catalogue import reference_table

    if target is None:
        click.echo(reference_table(), nl=False)
        return
    try:
        document = renewed(target.read_text(), reference_table())
    except ValueError as error:
        raise click.UsageError(f"{target}: {error}.") from error
    _write(target, document)


def _write(target: Path, text: str) -> None:
    try:
        target.write_text(text)
    except OSError as error:
        raise click.UsageError(f"{target} cannot be written: {error.strerror}.") from error


@main.command()
@click.option("--check", is_flag=True, help="Only tell whether this host's agent is at work.")
def agent(check: bool) -> None:
    """Keep records and containers one: events, sweeps, exits, expiry; Ctrl-C stops it."""
    from app.settings import load_settings

    settings = load_settings()
    if check:
        # It counts nothing, and must not join the metrics directory.
        os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
        sys.exit(0 if _agent_works(settings) else 1)
    from app.logging import configure
    from app.telemetry.directory import prepare

    configure(settings.log_level, "agent")
    # Absolute, as every process of the service has it, and before the metrics client is imported,
    # which joins it.
    directory = Path(settings.prometheus_multiproc_dir).absolute()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    prepare(directory)
    from app.agent.process import run

    run(settings)


def _agent_works(settings: "Settings") -> bool:
    from app.agent.process import renewed_lately
    from app.resources import open_database

    database = open_database(settings, settings.pool_limit)
    try:
        return renewed_lately(database)
    finally:
        database.dispose()


@main.command()
def run() -> None:
    """Migrate, then start the processes of the Procfile; Ctrl-C stops them."""
    from app.cli.run import start

    start(Path.cwd())
