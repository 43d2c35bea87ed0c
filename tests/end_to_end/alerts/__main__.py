"""`python -m tests.end_to_end.alerts`: makes faults one by one, or only watches ordinary load."""

import io
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from pathlib import Path

import click

from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import ServiceError
from tests.end_to_end.alerts.faults import FAULTS, Fault
from tests.end_to_end.alerts.quiet import CASES, MINUTES, Quiet
from tests.end_to_end.alerts.stack import Stack
from tests.end_to_end.alerts.verdicts import Verdicts
from tests.end_to_end.alerts.watching import Watch, ordinary, run, stays_silent


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("names", nargs=-1, type=click.Choice(sorted(FAULTS)), metavar="[FAULT]...")
@click.option("--load", default=0.0, help="Minutes of ordinary load, instead of faults.")
@click.option(
    "--quiet",
    "cases",
    multiple=True,
    type=click.Choice([*CASES, "all"]),
    metavar="CASE",
    help="Half an hour of the rules' time in which all is well, instead of faults; `all` of them.",
)
@click.option("--factor", default=60.0, help="What every duration is divided by at most.")
def main(names: tuple[str, ...], load: float, cases: tuple[str, ...], factor: float) -> None:
    """Make each FAULT on a stack of its own and print what fired after how many seconds.

    All of them if none is named. With --load or --quiet no alert may fire at all.
    """
    with ExitStack() as stack:
        postgresql = stack.enter_context(closing(PostgreSQL()))
        engine = stack.enter_context(closing(DockerEngine()))
        if load:
            quiet(postgresql, engine, load, factor)
            return
        for name in CASES if "all" in cases else cases:
            well(name, CASES[name], postgresql, engine)
        if cases:
            return
        for name in names or FAULTS:
            one(name, FAULTS[name], postgresql, engine, factor)


def one(
    name: str, fault: Fault, postgresql: PostgreSQL, engine: DockerEngine, factor: float
) -> None:
    """Make one fault and print its table."""
    factor = min(factor, fault.factor)
    verdicts = None
    try:
        with (
            watched(fault.env, postgresql, engine, factor) as stack,
            ordinary(stack),
        ):
            verdicts = Verdicts(stack, [fault])
            found = str(run(stack, [fault], verdicts, timeout=100 * 60 / factor, patient=True))
    except (ServiceError, AssertionError) as error:
        found = f"not as expected: {error}"
    said = (fault.make.__doc__ or "").splitlines()[0]
    click.echo(f"{name}: {said}\n{found}\nExplained:\n{verdicts or 'nothing'}\n")


def well(name: str, case: Quiet, postgresql: PostgreSQL, engine: DockerEngine) -> None:
    """Watch a case in which all is well, and print what fired all the same."""
    try:
        with watched({}, postgresql, engine, case.factor) as stack, case.make(stack):
            stays_silent(stack, MINUTES * 60 / case.factor)
        found = "nothing fired"
    except (ServiceError, AssertionError) as error:
        found = str(error)
    click.echo(f"{name}: {(case.make.__doc__ or '').splitlines()[0]}\n{found}\n")


def quiet(postgresql: PostgreSQL, engine: DockerEngine, minutes: float, factor: float) -> None:
    """Watch ordinary load; exit with 1 where an alert fires."""
    with watched({}, postgresql, engine, factor) as stack, ordinary(stack) as requests:
        watch, end = Watch(stack), time.monotonic() + minutes * 60
        while time.monotonic() < end:
            watch.look()
            time.sleep(1)
    click.echo(
        f"{requests.calls} requests in {minutes:g} minutes; fired: {str(watch) or 'nothing'}"
    )
    if watch.seconds:
        raise SystemExit(1)


@contextmanager
def watched(
    env: Mapping[str, str], postgresql: PostgreSQL, engine: DockerEngine, factor: float
) -> Iterator[Stack]:
    """Return a stack in a directory of its own; what it prints of its logs is not shown."""
    with (
        redirect_stdout(io.StringIO()),
        tempfile.TemporaryDirectory(prefix="alerts-") as directory,
        Stack(Path(directory), env, postgresql=postgresql, engine=engine, factor=factor) as stack,
    ):
        yield stack


if __name__ == "__main__":
    main()
