"""`vibebox monitoring`: the files that Prometheus, Alertmanager and Grafana are given."""

from pathlib import Path, PurePath
from typing import TypeVar

import click

from app.cli import shipped
from app.cli.relinking import relinked

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
    source = shipped.root()
    files = written_files(source)
    if not files:
        raise click.UsageError(
            f"There are no files in {source / 'monitoring'}: install VibeBox anew."
        )
    try:
        missing = [file for file in files if not (directory / file).exists()]
        differing = [
            file
            for file in set(files) - set(missing)
            if (directory / file).read_bytes() != files[file]
        ]
        if differing and not force:
            raise click.UsageError(_refusal(directory, sorted(differing)))
        for file in [*missing, *differing]:
            (directory / file).parent.mkdir(parents=True, exist_ok=True)
            (directory / file).write_bytes(files[file])
    except OSError as error:
        raise click.UsageError(
            f"{error.filename or directory} cannot be written: {error.strerror}."
        ) from error
    _tell(directory, [*missing, *differing])


_AnyPath = TypeVar("_AnyPath", bound=PurePath)


def written_files(source: Path) -> dict[Path, bytes]:
    """Return what is written, by where below DIR, of the files below `source`.

    The monitoring itself lies at the top of DIR, `deploy` in it: the links of documents follow.
    """
    files = shipped.monitoring_files(source)
    found = {}
    for file in files:
        content = (source / file).read_bytes()
        if file.suffix == ".md":
            content = relinked(content.decode(), file, files, _place).encode()
        found[_place(file)] = content
    return found


def _place(file: _AnyPath) -> _AnyPath:
    return file.relative_to("monitoring") if file.parts[:1] == ("monitoring",) else file


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
        f"Next: put your addresses into {directory / 'prometheus' / 'prometheus.yml'} and "
        f'{directory / "alertmanager" / "alertmanager.yml"}; the part "Without Compose" of '
        f"{directory / 'README.md'} has the commands."
    )
