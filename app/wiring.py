"""What the web workers, the agent and commands open: settings, database, the gateway to Docker.

Imports happen inside: see `app.create_app`.
"""

import logging
import sys
from typing import TYPE_CHECKING

from app.core.addresses import canonical_host
from app.core.errors import SettingsError
from app.core.kept_process import KeptProcess
from app.core.settings import Settings, read_settings

if TYPE_CHECKING:
    from app.engine import Engine
    from app.storage import Database

# More than an exporter gives itself.
_EXPORTER_SECONDS = 7.0
_log = logging.getLogger(__name__)


def load_settings() -> Settings:
    """Return the settings of the environment, checked by who uses them. Raises: SettingsError."""
    from app.domain.user_telemetry.build import mistakes

    settings = read_settings(
        {
            "database_url": _check_database_url,
            "secret_keys": _check_secret_keys,
            "templates_file": _check_templates,
        }
    )
    if wrong := mistakes(settings):
        raise SettingsError(sorted(wrong))
    return settings


def _check_database_url(text: str) -> None:
    from app.storage.backend import backend_for

    try:
        backend = backend_for(text, connect_timeout=1, statement_timeout=1)
    except SettingsError as error:
        raise ValueError(error.mistakes[0]) from None
    if backend.url.host:
        canonical_host(backend.url.host)


def _check_secret_keys(text: str) -> None:
    from app.domain.secrets.values import split_keys

    split_keys(text)


def _check_templates(path: str) -> None:
    from app.domain.environments import templates

    templates.load(path)


def open_database(settings: Settings, limit: int, *, must_exist: bool = False) -> "Database":
    """Return the database, for at most `limit` connections; nothing is opened yet.

    Commands, which may be run in another directory than the service's, say that it `must_exist`.
    """
    from app.storage import Database

    return Database(
        settings.database_url,
        connect_timeout=settings.db_connect_timeout,
        statement_timeout=settings.db_statement_timeout,
        pool_size=settings.db_pool_size,
        max_overflow=limit - settings.db_pool_size,
        pool_timeout=settings.db_pool_timeout,
        must_exist=must_exist,
    )


def open_engine(settings: Settings) -> "Engine":
    """Return the gateway to Docker; nothing is asked of it yet."""
    from app.engine import DockerEngine

    return DockerEngine(
        settings.docker_host,
        query_timeout=settings.engine_query_timeout,
        lifecycle_timeout=settings.engine_lifecycle_timeout,
        exec_timeout=settings.engine_exec_timeout,
        pull_timeout=settings.engine_pull_timeout,
        publish_address=settings.publish_address,
    )


def start_exporter(settings: Settings) -> KeptProcess | None:
    """Start what sends traces, logs and metrics, where there is a receiver, and say so in the log.

    It ends with this process (see `app.exporter.supervisor`), sooner when it is closed.
    """
    from app.tracing.installed import MISSING, is_installed

    if settings.metrics_refusal:
        _log.error("metrics are not pushed", extra={"why": settings.metrics_refusal})
    elif settings.metrics_doubt:
        _log.warning("metrics may be refused", extra={"why": settings.metrics_doubt})
    receivers = {
        "traces": settings.traces_endpoint,
        "metrics": settings.metrics_endpoint,
        "logs": settings.logs_endpoint,
    }
    # Without what stands behind a question mark: it may be a key.
    sent = {signal: url.partition("?")[0] for signal, url in receivers.items() if url is not None}
    if not sent:
        return None
    if not is_installed():
        _log.warning("nothing is exported", extra={"why": MISSING, "receivers": sent})
        return None
    _log.info("exporting", extra={"receivers": sent})
    command = [sys.executable, "-P", "-m", "app.cli", "exporter", "--starter"]
    return KeptProcess(command, _EXPORTER_SECONDS)
