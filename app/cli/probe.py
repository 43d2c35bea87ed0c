"""`vibebox probe`: one round of the synthetic user, from here, by the public address."""

import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from app.cli import env_file, screen

if TYPE_CHECKING:
    from app.core.settings import Settings
    from app.domain.probe.rounds import Outcome

FAILED = 1


@click.command()
@click.option("--url", help="Address to go by, instead of VIBEBOX_PROBE_URL.")
@click.option(
    "--step-timeout",
    type=click.FloatRange(0, 120, min_open=True),
    help="Seconds for each step, instead of VIBEBOX_PROBE_STEP_TIMEOUT.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, 300, min_open=True),
    help="Seconds for all steps, instead of VIBEBOX_PROBE_TIMEOUT.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def probe(
    url: str | None, step_timeout: float | None, timeout: float | None, as_json: bool
) -> None:
    """Go a round of the synthetic user, from outside.

    Sign in, create, start, use, stop and delete an environment, as people do.

    Run it with the settings of the service (the database gives the synthetic account a password for
    this one round), where you like: the rest goes by the public address. The round is among those
    that metrics and alerts show, unless it is a trial: VIBEBOX_PROBE is off, or an option says
    something else than the settings. Ends with code 0, 1 where a step failed, 2 where none was
    made.
    """
    of_service = env_file.settings()
    settings = _changed(
        of_service, probe_url=url, probe_step_timeout=step_timeout, probe_timeout=timeout
    )
    trial = _trial(of_service, settings)
    found = _made(settings, trial=trial is not None)
    if as_json:
        click.echo(screen.json_text(json.dumps(_document(found, trial), indent=2)))
    else:
        for line in _told(found, trial):
            click.echo(screen.line(line))
    sys.exit(0 if found.step is None else FAILED)


def _changed(settings: "Settings", **options: object) -> "Settings":
    """Return the settings with what the options say. Raises: click.UsageError."""
    from pydantic import ValidationError

    from app.core.sentences import sentence
    from app.core.settings import Settings

    given = {
        name: value
        for name, value in options.items()
        if value is not None and not _is_same(value, getattr(settings, name))
    }
    try:
        Settings.model_validate(given)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        option = str(wrong["loc"][0]).removeprefix("probe_").replace("_", "-")
        raise click.UsageError(f"--{option}: {sentence(dict(wrong))}") from None
    return settings.model_copy(update=given)


def _is_same(value: object, setting: object) -> bool:
    """Tell whether an option says what the setting does: an address with a slash or without."""
    if isinstance(value, str) and isinstance(setting, str):
        return value.rstrip("/") == setting.rstrip("/")
    return value == setting


def _trial(of_service: "Settings", settings: "Settings") -> str | None:
    """Return why the round says nothing of the service; None where it counts."""
    if of_service.probe == "off":
        return "VIBEBOX_PROBE is off"
    return None if settings == of_service else "an option says something else than the settings"


def _made(settings: "Settings", *, trial: bool) -> "Outcome":
    """Make the round. Raises: click.UsageError where no address is known, ProbeUnderWayError."""
    # The client of the metrics would open files of its own in there.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    from app.probing.rounds import Prober, target
    from app.wiring import open_database

    goes_by = target(settings)
    if goes_by is None:
        raise click.UsageError(
            "Name the address under which users come: --url, or VIBEBOX_PROBE_URL."
        )
    database = open_database(settings, settings.pool_limit, must_exist=True)
    try:
        return Prober(settings, database, goes_by).run("command", trial=trial)
    finally:
        database.dispose()


def _document(found: "Outcome", trial: str | None) -> dict[str, object]:
    return {
        "outcome": "success" if found.step is None else "failure",
        "step": found.step,
        "says": found.says,
        "next_step": found.next_step,
        "trial": trial is not None,
        "seconds": {step: round(seconds, 6) for step, seconds in found.seconds.items()},
    }


def _told(found: "Outcome", trial: str | None) -> Iterator[str]:
    for step, seconds in found.seconds.items():
        how = "failed" if step == found.step else "ok"
        yield f"{step.replace('_', ' '):8}  {how:6}  {seconds:7.3f} s"
    if found.step is None:
        yield "The synthetic user came through all steps."
    else:
        yield f"Failed at the step {found.step.replace('_', ' ')}: {found.says}"
        yield f"  {found.next_step}"
    if trial is not None:
        yield f"This was a trial, which no metric and no alert shows: {trial}."
