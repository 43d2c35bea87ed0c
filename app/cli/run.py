"""`vibebox run`: the service on one machine, for who wants to see it run.

It migrates the database, then starts the long-running processes of the Procfile and stops them
together: of a checkout, of an installed wheel in any directory, and in the Docker image, whose
first process it may be. The Procfile and gunicorn's configuration are VibeBox's own; of the working
directory it reads .env, and there lies what relative settings name: the database, the metrics.
"""

import os
import shlex
import sys
from itertools import chain
from pathlib import Path

import click

from app.cli import env_file, processes, shipped
from app.core.listening import refuse_taken
from app.core.settings import Settings
from app.doctor.checks.engine import look_for_answer
from app.engine import DockerEngine
from app.storage import Database, schema
from app.wiring import load_settings
from prefork_metrics.directory import refuse_second

_PING_SECONDS = 2.0
# Neither `-m` nor a script adds a directory to the path of modules.
_PYTHON = (sys.executable, "-P", "-m")


def start(directory: Path) -> int:
    """Run the service with `directory` as its working directory, until it is stopped.

    Returns: the exit code.
    Raises: SettingsError, CannotListenError, or what the database has to say.
    """
    commands = _commands(shipped.root())
    env_file.read(directory / env_file.NAME)
    settings = load_settings()
    refuse_taken(settings.host, settings.port)
    refuse_second(Path(settings.prometheus_multiproc_dir))
    _migrate(settings)
    environment = {**os.environ, "VIBEBOX_WELCOME": "true", "PORT": str(settings.port)}
    if not os.environ.get("VIBEBOX_DOCKER_REQUIRED") and (trouble := _engine_trouble(settings)):
        click.echo(
            f"{trouble} Until then environments can be recorded, and not be started: VibeBox "
            "starts with VIBEBOX_DOCKER_REQUIRED=false."
        )
        environment["VIBEBOX_DOCKER_REQUIRED"] = "false"
    binaries = Path(sys.executable).parent
    environment["PATH"] = f"{binaries}{os.pathsep}{environment.get('PATH', '')}"
    return processes.run(commands, environment, settings.graceful_timeout)


def _commands(files: Path) -> list[str]:
    """Return the commands of the Procfile, so that they do the same in any working directory."""
    procfile = files / shipped.PROCFILE
    if not procfile.is_file():
        raise click.UsageError(f"There is no {procfile}: install VibeBox anew.")
    configuration = shipped.SERVER_CONFIGURATION
    instead = {
        "gunicorn": [*_PYTHON, "app.web.serve"],
        "vibebox": [*_PYTHON, "app.cli"],
        configuration: [str(files / configuration)],
    }
    told = processes.long_running(procfile).values()
    lines = [[instead.get(word, [word]) for word in shlex.split(command)] for command in told]
    return [shlex.join(chain.from_iterable(line)) for line in lines]


def _migrate(settings: Settings) -> None:
    database = Database(settings.database_url)
    try:
        schema.upgrade(database)
    finally:
        database.dispose()


def _engine_trouble(settings: Settings) -> str | None:
    """Return why Docker Engine cannot be used, and what to do; None where it answers."""
    engine = DockerEngine(settings.docker_host)
    try:
        found = look_for_answer(engine, settings.docker_host, _PING_SECONDS)
    finally:
        engine.close()
    return None if found is None else f"{found.says} {found.next_step}"
