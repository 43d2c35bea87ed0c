"""`vibebox monitoring`: the files that Prometheus, Alertmanager and Grafana are given."""

from pathlib import Path

import click

from app.cli import shipped

# More would push what to do about them off the screen.
_NAMED = 10


@click.group()
def monitoring() -> None:
    """Get the rules, dashboards and runbooks of this release."""


@monitoring.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--force", is_flag=True, help="Overwrite files that differ.")
def write(directory: Path, force: bool) -> None:
    """Write the monitoring files of this release to DIR; doing it again changes nothing."""
    source = shipped.monitoring()
    files = shipped.monitoring_files(source)
    if not files:
        raise click.UsageError(f"There are no files in {source}: install VibeBox anew.")
    try:
        missing = [file for file in files if not (directory / file).exists()]
        differing = [file for file in set(files) - set(missing) if _differ(file, source, directory)]
        if differing and not force:
            raise click.UsageError(_refusal(directory, sorted(differing)))
        for file in [*missing, *differing]:
            _copy(source / file, directory / file)
    except OSError as error:
        raise click.UsageError(
            f"{error.filename or directory} cannot be written: {error.strerror}."
        ) from error
    _tell(directory, [*missing, *differing])


def _differ(file: Path, source: Path, directory: Path) -> bool:
    return (source / file).read_bytes() != (directory / file).read_bytes()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def _refusal(directory: Path, differing: list[Path]) -> str:
    named = [f"\n  {file}" for file in differing[:_NAMED]]
    if more := len(differing) - len(named):
        named.append(f"\n  and {more} more")
    return (
        f"Nothing was written. In {directory} these files differ from those of this release; "
        f"--force overwrites them, another DIR leaves them:{''.join(named)}"
    )


def _tell(directory: Path, written: list[Path]) -> None:
    if not written:
        click.echo(f"{directory} has all files of this release already; nothing was written.")
        return
    click.echo(f"Wrote to {directory}:")
    for part in sorted({file.parts[0] for file in written}):
        number = sum(file.parts[0] == part for file in written)
        click.echo(f"  {part}: {number} file{'s' * (number > 1)}")
    click.echo(
        "Next: put the addresses of your service and of Alertmanager into "
        f"{directory / 'prometheus' / 'prometheus.yml'}; {directory / 'README.md'} says the rest."
    )
