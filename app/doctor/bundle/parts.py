"""The parts of a bundle: a table of names, and what makes the text of each.

A part may raise what it likes: then the archive says why there is none. Whatever it returns goes
through `secrets.without`.
"""

import json
import platform
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

from app._version import __version__
from app.core.errors import StoreUnavailableError
from app.core.settings import MAY_HOLD_SECRETS, Settings, environment_name
from app.doctor.bundle import alerting
from app.doctor.bundle.secrets import INSTEAD, OPTIONS, shown_options, shown_url
from app.doctor.bundle.subject import MissingError, Subject, document
from app.doctor.checks import web
from app.doctor.looks import refuse_absent
from app.storage import Database
from app.storage.revisions import expected_revision
from app.stores.http import Store
from app.stores.log_lines import SETTING as LOG_SETTING
from prefork_metrics.directory import owner_of

MOST_LINES = 2000
_MOST_BYTES = 4 * 1024 * 1024
_SECONDS = 2.0
_PAST = timedelta(hours=1)


Part = Callable[[Subject], str]


def parts(subject: Subject) -> dict[str, Part]:
    """Return the table: the name of each file of the archive, and what makes its text."""
    table: dict[str, Part] = {
        "doctor.json": lambda it: it.found.model_dump_json(indent=2),
        "versions.json": _versions,
    }
    if subject.settings is not None:
        table |= {
            "settings.txt": _settings,
            "metrics.txt": _metrics,
            "alerts.json": alerting.alerts,
            "probe.json": alerting.rounds,
            "log.jsonl": _stored_lines,
        }
    names = {path: f"logs/{number}-{path.name}" for number, path in enumerate(subject.log_files, 1)}
    return table | {name: _tail_of(path) for path, name in names.items()}


def _versions(subject: Subject) -> str:
    installed = {one.name: one.version for one in metadata.distributions()}
    return document(
        {
            "vibebox": __version__,
            "python": sys.version,
            "platform": platform.platform(),
            "sqlite": sqlite3.sqlite_version,
            "schema_needed": expected_revision(),
            "schema": _schema(subject.database),
            "distributions": dict(sorted(installed.items())),
        }
    )


def _schema(database: Database | None) -> str | None:
    """Return the revision of the schema; None where the database does not say."""
    if database is None:
        return None
    try:
        refuse_absent(database)
        return database.schema_state(_SECONDS).revision
    except Exception:  # the doctor's answer says why
        return None


def _settings(subject: Subject) -> str:
    """Return each setting, and whether it is the default."""
    assert subject.settings is not None
    lines = []
    for name, field in Settings.model_fields.items():
        value = getattr(subject.settings, name)
        told = environment_name(name, field)
        mark = "" if name in subject.settings.model_fields_set else "  # default"
        lines.append(f"{told}={_shown(told, value)}{mark}")
    return "\n".join(sorted(lines)) + "\n"


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    if name == OPTIONS:
        return shown_options(text)
    if name not in MAY_HOLD_SECRETS:
        return text
    if "://" in text:
        return shown_url(text)
    # What is a secret as a whole hides itself: its text is of stars, or empty.
    return INSTEAD if text else ""


def _metrics(subject: Subject) -> str:
    """Return what a scrape of the web server shows."""
    assert subject.settings is not None
    directory = Path(subject.settings.prometheus_multiproc_dir).absolute()
    owner = owner_of(directory) if directory.is_dir() else None
    url = None if owner is None else web.address(owner, subject.settings)
    if url is None:
        raise MissingError("No web server of this host runs with the directory of the metrics.")
    token = subject.settings.metrics_token
    store = Store("HOST", url, None if token is None else token.get_secret_value())
    try:
        return store.get("/health/metrics", {}).decode()
    except StoreUnavailableError as error:
        raise MissingError(f"The web server does not answer a scrape: {error.detail}") from error


def _stored_lines(subject: Subject) -> str:
    """Return the last lines of the service's log, from the store that the settings name."""
    if subject.stores is None or subject.stores.lines is None:
        raise MissingError(
            f"{LOG_SETTING} is not set: the lines are where standard output of the processes goes "
            "(journalctl, docker logs). Put them into a file, and name it with --log."
        )
    # Clocks of hosts differ by a little.
    until = datetime.now(UTC) + timedelta(minutes=1)
    found = subject.stores.lines.latest(until - _PAST, until, MOST_LINES)
    lines = [asdict(line) | {"at": line.at.isoformat()} for line in found]
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def _tail_of(path: Path) -> Part:
    def tail(_: Subject) -> str:
        # A pipe that nobody writes to would be waited for.
        if not path.is_file():
            raise MissingError(f"{path} is no file.")
        with path.open("rb") as file:
            begin = max(0, file.seek(0, 2) - _MOST_BYTES)
            file.seek(begin)
            lines = file.read(_MOST_BYTES).decode(errors="replace").splitlines()
        if begin:  # of a line that is cut, what is left of a secret is not known as one
            lines = lines[1:]
        return "".join(f"{line}\n" for line in lines[-MOST_LINES:])

    return tail
