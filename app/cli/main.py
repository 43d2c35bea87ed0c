"""The command line `vibebox`: what an operator does beside running the service, and the client."""

import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app._version import __version__
from app.cli import screen, streams
from app.cli.accounts import accounts
from app.cli.client.commands import COMMANDS
from app.cli.client.errors import INTERRUPTED
from app.cli.doctor import doctor
from app.cli.documents import renewed
from app.cli.explain import explain
from app.cli.migrations import downgrade, migrate
from app.cli.monitoring import monitoring
from app.cli.operators import operators
from app.cli.probe import probe
from app.cli.secrets import secrets
from app.cli.support_bundle import support_bundle
from app.core.errors import SettingsError, StorageError, VibeBoxError
from app.core.loading import loading
from prefork_metrics.errors import PreforkMetricsError

if TYPE_CHECKING:
    from app.core.log_receiver import Receivers
    from app.core.settings import Settings

REFUSED = 2
_log = logging.getLogger(__name__)
# What is said of sending logs would be sent next, and be said of again.
_UNCOPIED = ("app.exporter.log_exporter", "urllib3")


class _Commands(click.Group):
    """Shows an error of ours as sentences, not as a traceback, and commands by whom they serve."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write who uses the service before who runs it."""
        for title, names in self._sections():
            commands = [(name, self.commands[name]) for name in names]
            width = formatter.width - 6 - max(len(name) for name, _ in commands)
            with formatter.section(title):
                formatter.write_dl(
                    [(name, command.get_short_help_str(width)) for name, command in commands]
                )

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they are shown."""
        return [name for _, names in self._sections() for name in names]

    def _sections(self) -> list[tuple[str, list[str]]]:
        using = [str(command.name) for command in COMMANDS]
        running = sorted(set(self.commands) - set(using))
        return [("Use VibeBox", using), ("Run VibeBox", running)]

    def main(self, *arguments: Any, **named: Any) -> Any:
        streams.prepare()
        screen.guard()
        with streams.guarded():
            return super().main(*arguments, **named)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            mistakes = map(screen.lines, error.mistakes)
            click.echo("\n  ".join(["Settings are not valid:", *mistakes]), err=True)
        except (VibeBoxError, PreforkMetricsError) as error:
            told = error.reason if isinstance(error, StorageError) else error
            click.echo(screen.lines(f"{error.title}: {told}"), err=True)
        except BrokenPipeError:
            streams.abandon()
            sys.exit(streams.LEFT)
        except (KeyboardInterrupt, click.Abort):
            if sys.stderr.isatty():
                click.echo(err=True)  # ends the line on which the terminal showed ^C
            sys.exit(INTERRUPTED)
        sys.exit(REFUSED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vibebox")
def main() -> None:
    """Use a VibeBox, or run one.

    What uses it finds it at --url or VIBEBOX_URL, and takes the login that `vibebox login` keeps,
    or the API key in VIBEBOX_TOKEN. It ends with code 0, 1 where the service refuses, 2 where it is
    not reached or the command is wrong, 130 at Ctrl-C, and 141 where whoever reads the output has
    left.

    What runs it takes settings from the environment. All but `vibebox agent` and `vibebox
    exporter`, whose supervisor gives them theirs, read .env of the working directory too: run them
    in that of the service.
    """


for _command in COMMANDS:
    main.add_command(_command)
main.add_command(secrets)
for _command in (migrate, downgrade):
    main.add_command(_command)


@main.command()
@click.option("--write", "target", type=click.Path(path_type=Path), help="File to write to.")
def settings(target: Path | None) -> None:
    """Print all settings with help and default: .env.example."""
    from app.core.settings import example

    if target is None:
        click.echo(example(), nl=False)
    else:
        _write(target, example())


@main.command()
@click.option(
    "--write", "target", type=click.Path(path_type=Path, exists=True), help="Document to renew."
)
def metrics(target: Path | None) -> None:
    """Print the table of metric families.

    With --write it is renewed between its marks in a document.
    """
    # The metrics client would open files of its own in there.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    from app.metrics.catalogue import reference_table

    if target is None:
        click.echo(reference_table(), nl=False)
        return
    _renew(target, reference_table())


@main.command()
@click.option(
    "--write", "target", type=click.Path(path_type=Path, exists=True), help="Document to renew."
)
def permissions(target: Path | None) -> None:
    """Print the table of permissions.

    With --write it is renewed between its marks in a document.
    """
    from app.domain.authorization import permissions_table

    if target is None:
        click.echo(permissions_table(), nl=False)
    else:
        _renew(target, permissions_table())


def _renew(target: Path, generated: str) -> None:
    try:
        document = renewed(target.read_text(), generated)
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
    """Run the agent, which keeps records true to containers.

    It follows what Docker does, pulls images, reads logs, ends what has expired, and goes the
    rounds of the synthetic user. The service needs one beside its web server; of several, one
    leads. Ctrl-C stops it.
    """
    from app.wiring import load_settings, start_exporter

    settings = load_settings()
    if check:
        # It counts nothing, and must not join the metrics directory.
        os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
        if (trouble := _agent_trouble(settings)) is not None:
            click.echo(trouble, err=True)
        sys.exit(0 if trouble is None else 1)
    prepare_process(settings, "agent")
    exporter = start_exporter(settings)
    try:
        with loading():
            from app.agent.process import run

        run(settings, receivers=container_log_receivers(settings))
    finally:
        if exporter is not None:
            exporter.close()


@main.command()
@click.option("--starter", type=int, hidden=True, help="Process with which it ends.")
def exporter(starter: int | None) -> None:
    """Send traces, logs and metrics to a receiver of OTLP.

    That is what OTEL_EXPORTER_OTLP_ENDPOINT names. Ctrl-C stops it.

    The web server and the agent each start one; only one of them works at a time.
    """
    from app.core.logging import configure
    from app.core.settings import read_settings
    from app.exporter.lock import held
    from app.exporter.supervisor import supervise
    from app.tracing.installed import MISSING, is_installed
    from app.tracing.log_records import copy_logs

    # Those who use the values have checked them; here their libraries would be loaded for that.
    settings = read_settings({})
    receivers = settings.traces_endpoint, settings.metrics_endpoint, settings.logs_endpoint
    if not any(receivers):
        if settings.metrics_refusal:
            raise click.UsageError(f"{settings.metrics_refusal}.")
        raise click.UsageError("There is no receiver: set OTEL_EXPORTER_OTLP_ENDPOINT.")
    if not is_installed():
        raise click.UsageError(f"This cannot work here: {MISSING}.")
    configure(settings.log_level, "exporter")
    copy_logs(settings, _UNCOPIED)

    def work(stopping: threading.Event) -> None:
        with held(settings.traces_path, stopping) as is_ours:
            if not is_ours:
                return
            # Only now: who waits has no use for it.
            prepare_process(settings, "exporter")
            from app.exporter.process import run

            run(settings, stopping)

    supervise(work, starter)


def container_log_receivers(settings: "Settings") -> "Receivers | None":
    """Return what makes receivers of container logs for the agent; None where none are sent."""
    if settings.container_logs_exporter == "none":
        return None
    from app.tracing.installed import MISSING, is_installed

    if settings.container_logs_endpoint is None:
        why = "no receiver is set (OTEL_EXPORTER_OTLP_ENDPOINT), or OTEL_SDK_DISABLED=true"
        _log.warning("container logs are not sent", extra={"why": why})
        return None
    if not is_installed():
        _log.warning("container logs are not sent", extra={"why": MISSING})
        return None
    from app.exporter.container_logs import receivers

    url = settings.container_logs_endpoint
    _log.info("sending container logs", extra={"receiver": url.partition("?")[0]})
    return receivers(settings, url)


def prepare_process(settings: "Settings", name: str) -> None:
    """Do what comes before the import of a process that counts: logs, and the metrics directory.

    `name` is that of its place.
    """
    from app.core.logging import configure
    from app.tracing.log_records import copy_logs
    from prefork_metrics.directory import prepare

    configure(settings.log_level, name)
    # Absolute, as every process of the service has it, and before the metrics client is imported,
    # which joins it.
    directory = Path(settings.prometheus_multiproc_dir).absolute()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    prepare(directory)
    copy_logs(settings)


def _agent_trouble(settings: "Settings") -> str | None:
    from app.agent.process import trouble
    from app.wiring import open_database

    database = open_database(settings, settings.pool_limit, must_exist=True)
    try:
        return trouble(database)
    finally:
        database.dispose()


@main.command()
def run() -> None:
    """Migrate, then run the web server and the agent here.

    Until Ctrl-C or SIGTERM. Settings that the environment lacks are those of .env here.
    """
    from app.cli.run import start

    sys.exit(start(Path.cwd()))


main.add_command(accounts)
main.add_command(operators)
main.add_command(monitoring)
main.add_command(explain)
main.add_command(doctor)
main.add_command(probe)
main.add_command(support_bundle)
