"""`vibebox explain`: what an alert comes from, also while the service is down.

It asks Prometheus and the stores that the settings name, and the database where that answers; not
the service.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from app.cli import env_file, screen

if TYPE_CHECKING:
    from app.core.settings import Settings
    from app.explaining.answer import Explanation

_DATABASE_SECONDS = 2.0


@click.command()
@click.argument("alert", metavar="ALERT")
@click.option("--json", "as_json", is_flag=True, help="Print the answer of the API.")
def explain(alert: str, as_json: bool) -> None:
    """Say what an alert comes from, with the evidence.

    ALERT is its name or fingerprint.

    Works while the service is down: run it with the settings of the service, in its working
    directory, whose .env is read as by `vibebox run`. It asks VIBEBOX_PROMETHEUS_URL,
    VIBEBOX_TRACE_STORE_URL and VIBEBOX_LOG_STORE_URL.
    """
    found = explained(env_file.settings(), alert)
    if as_json:
        click.echo(screen.json_text(found.model_dump_json(indent=2)))
        return
    for line in _told(found):
        click.echo(screen.line(line))


def explained(settings: "Settings", alert: str) -> "Explanation":
    """Return what an alert comes from, as whoever has the settings may read it.

    Raises: AlertNotFoundError, StorageError.
    """
    # The client of the metrics would open files of its own in there.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    from app.explaining.build import build
    from app.explaining.readers import Shell
    from app.explaining.recorded import Recorded
    from app.storage import Database
    from app.stores.build import build as build_stores

    database = Database(
        settings.database_url,
        connect_timeout=_DATABASE_SECONDS,
        statement_timeout=_DATABASE_SECONDS,
        must_exist=True,
    )
    try:
        return build(build_stores(settings), database).explain(Shell(Recorded(database)), alert)
    finally:
        database.dispose()


def _told(found: "Explanation") -> Iterator[str]:
    """Yield the answer, the most important first."""
    state = "fires" if found.alert.firing else "does not fire"
    since = f" since {found.alert.starts_at:%Y-%m-%d %H:%M:%SZ}" if found.alert.starts_at else ""
    yield f"{found.alert.name} {state}{since}. {found.alert.summary}".rstrip()
    if found.culprit is not None:
        yield f"Culprit: {found.culprit.kind} {found.culprit.id}"
    else:
        yield f"Culprit: none found: {found.culprit_missing}"
    for step in found.steps:
        yield f"  {step.culprit.kind} {step.culprit.id}: {step.because}"
    parts = (
        ("Series, the worst first", found.series.missing, _series(found)),
        ("Traces", found.traces.missing, _traces(found)),
        ("Log lines", found.lines.missing, _lines(found)),
        ("Environments", found.environments.missing, _environments(found)),
    )
    for title, missing, lines in parts:
        if missing is None or missing != found.culprit_missing:  # else it is said already
            yield from _part(title, missing, lines)
    if found.alert.runbook_url:
        yield f"Runbook: {found.alert.runbook_url}"


def _part(title: str, missing: str | None, lines: Iterator[str]) -> Iterator[str]:
    yield f"{title}: {missing}" if missing else f"{title}:"
    yield from (f"  {line}" for line in lines)


def _series(found: "Explanation") -> Iterator[str]:
    for one in found.series.items:
        labels = ", ".join(f'{name}="{value}"' for name, value in sorted(one.labels.items()))
        yield f"{{{labels}}} {one.value}"


def _traces(found: "Explanation") -> Iterator[str]:
    for one in found.traces.items:
        slowest = f"longest {one.slowest.name} {one.slowest.own_seconds:.3f} s"
        failed = f", failed {one.failed.name} ({one.failed.error})" if one.failed else ""
        yield f"{one.trace_id} {one.name} {one.seconds:.3f} s: {slowest}{failed}"


def _lines(found: "Explanation") -> Iterator[str]:
    for one in found.lines.items:
        fields = " ".join(f"{name}={value}" for name, value in one.fields.items())
        yield f"{one.at:%H:%M:%S.%f} {one.level} {one.event} {fields}"


def _environments(found: "Explanation") -> Iterator[str]:
    for one in found.environments.items:
        ended = f", last exit {one.exit_reason} ({one.exit_code})" if one.exit_reason else ""
        yield f"{one.id} {one.name or ''} {one.status or ''}{ended}"
        if one.missing:
            yield f"  {one.missing}"
        yield from (f"  {line.at} {line.line}" for line in one.log)
