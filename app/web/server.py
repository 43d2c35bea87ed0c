"""gunicorn's settings and hooks: what `gunicorn.conf.py` takes over.

gunicorn runs its configuration file, and so imports this module anew, at each HUP. A hook that
raises in the master would end the whole server: so each hook that may fail runs inside
`_never_raise`, except `on_starting`, whose very purpose is to refuse a bad start.
"""

import functools
import importlib
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from app.core.errors import SettingsError, VibeBoxError
from app.core.loading import loading
from app.core.logging import config as logging_config
from app.core.logging import configure as configure_logging
from app.core.settings import retired_in_use
from app.tracing.log_records import copy_logs
from app.wiring import load_settings, start_exporter
from prefork_metrics.gunicorn import install
from prefork_metrics.registry import Registry
from prefork_metrics.runtime.saturation import ServerReadings

REFUSED = 2  # exit code of a start that the operator has to correct

try:
    _settings = load_settings()
except SettingsError as error:
    between = "\n  " if len(error.mistakes) > 1 else " "
    print("VibeBox cannot start:", *error.mistakes, sep=between, file=sys.stderr)
    sys.exit(REFUSED)

# Every process of the service must see the same absolute path.
_directory = Path(_settings.prometheus_multiproc_dir).absolute()
_log = logging.getLogger("app.server")

bind = (
    f"[{_settings.host}]:{_settings.port}"
    if ":" in _settings.host
    else (f"{_settings.host}:{_settings.port}")
)
workers = _settings.web_concurrency
worker_class = "app.web.gunicorn_worker.Worker"
logger_class = "app.web.gunicorn_worker.Logger"
# As many as the descriptors of the process leave room for, up to this.
worker_connections = 4096
threads = _settings.threads
keepalive = _settings.keepalive
timeout = _settings.request_timeout
graceful_timeout = _settings.graceful_timeout
# The heartbeat must not wait for a disk.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# On by default in gunicorn 27, at one path for every server of the user: two would clash.
control_socket_disable = True
# Forwarded headers are ours to judge (health.access); none is trusted for the peer's address.
forwarded_allow_ips = ""
accesslog = None
logconfig_dict = logging_config(_settings.log_level)


def _never_raise(hook: Callable[..., None]) -> Callable[..., None]:
    """Log what goes wrong in a hook instead of ending the server."""

    @functools.wraps(hook)
    def guarded(*arguments: Any) -> None:
        try:
            hook(*arguments)
        except Exception:
            _log.exception("server hook failed", extra={"hook": hook.__name__})

    return guarded


def on_starting(server: Any) -> None:
    """Check the address and the database's schema, or refuse in one sentence."""
    from app.web.gunicorn_worker.balance import Loads

    copy_logs(_settings)
    server.started = time.monotonic()
    server.loads = Loads()
    for sentence in retired_in_use():
        _log.warning("retired setting", extra={"why": sentence})
    try:
        _refuse_taken_address(server)
        _check_schema()
    except VibeBoxError as error:
        _refuse(error)
    _import_application()
    _log.info("starting", extra={"metrics_directory": str(_directory)})


def _refuse(error: Exception) -> NoReturn:
    print(f"VibeBox cannot start: {error}", file=sys.stderr)
    sys.exit(REFUSED)


def _refuse_taken_address(server: Any) -> None:
    """Say in a sentence what gunicorn tries again for five seconds, in ten lines."""
    from app.core.listening import refuse_taken

    if server.master_pid or "LISTEN_FDS" in os.environ or server.cfg.reuse_port:
        return
    for address in server.cfg.address:
        if isinstance(address, tuple):  # else the path of a socket, or a descriptor
            refuse_taken(*address)


def _import_application(*, again: bool = False) -> None:
    """Load all code once, so that workers share its memory and boot in a moment.

    Each worker builds the application for itself. A reload loads our code anew,
    which gunicorn.conf.py has removed from `sys.modules`; a new library needs a restart or a
    binary upgrade.
    """
    with loading(again=again):
        importlib.import_module("app.web.app")


def _check_schema() -> None:
    """Refuse the wrong schema; a database that is not there yet is readiness's business."""
    from app.core.errors import StorageUnavailableError
    from app.storage import Database, schema

    database = Database(_settings.database_url, connect_timeout=_settings.db_connect_timeout)
    try:
        schema.check(database)
    except StorageUnavailableError as error:
        _log.warning("database not reachable at start", extra={"why": error.reason})
    finally:
        database.dispose()


@_never_raise
def when_ready(server: Any) -> None:
    """Say where things are."""
    addresses = [str(listener) for listener in server.LISTENERS]
    _log.info("listening", extra={"addresses": addresses, "workers": server.num_workers})
    from app.web.gunicorn_worker.descriptors import scarce

    if told := scarce(server.cfg.worker_connections, server.cfg.threads, _settings.websockets):
        _log.warning("few file descriptors", extra={"why": told})
    server.exporter = start_exporter(_settings)
    if _settings.welcome:
        from app.web.welcome import lines

        print(*lines(addresses[0], _settings), sep="\n", flush=True)
    _tell_who_may_register(addresses[0])


def _tell_who_may_register(address: str) -> None:
    """Print the link for the first account, once, where nobody may register."""
    from app.domain.accounts.notice import lines
    from app.storage import Database

    database = Database(_settings.database_url, connect_timeout=_settings.db_connect_timeout)
    try:
        told = lines(_settings, database, address)
    finally:
        database.dispose()
    if told:
        print(*told, sep="\n", flush=True)


@_never_raise
def pre_exec(server: Any) -> None:
    """Start the next master of a binary upgrade (USR2) by the very command of this one.

    gunicorn would run its own file by path: after `python -m gunicorn` that puts its directory
    first on the path, where its `http` hides the library's.
    """
    server.START_CTX["args"] = [sys.executable, *sys.orig_argv[1:]]


@_never_raise
def on_reload(server: Any) -> None:
    """Load the new code, before workers of it are forked."""
    _import_application(again=True)


@_never_raise
def pre_fork(server: Any, worker: Any) -> None:
    """Give the worker its share of the load, by its place."""
    worker.load = server.loads.of(int(worker.place.removeprefix("web-")))


@_never_raise
def post_fork(server: Any, worker: Any) -> None:
    """Name the process in its logs."""
    configure_logging(_settings.log_level, worker.place)
    copy_logs(_settings)  # after a reload the code is another
    worker.server_started = server.started


@_never_raise
def post_worker_init(worker: Any) -> None:
    """Start what runs beside the requests, now that this process is the worker."""
    from app.web.gunicorn_worker.deadlines import Deadlines

    components = worker.wsgi.extensions["vibebox"]
    components.lifecycle.attach(worker, worker.server_started)
    worker.refusals = components.refusals
    worker.websockets = _settings.websockets
    worker.deadlines = Deadlines(
        head=_settings.client_head_timeout,
        stall=_settings.client_stall_timeout,
        rate=_settings.client_min_rate,
        body=_settings.client_body_timeout,
    )
    components.start()
    worker.when_stopping(components.sockets.close_all)


@_never_raise
def on_exit(server: Any) -> None:
    """Have the last traces sent."""
    if (exporter := getattr(server, "exporter", None)) is not None:
        exporter.close()


@_never_raise
def worker_exit(server: Any, worker: Any) -> None:
    """Give back what the worker holds; gunicorn calls this in the worker."""
    if worker.pid != os.getpid():
        return  # the master, cleaning up after a worker that is gone already
    if getattr(worker, "wsgi", None) is not None:
        worker.wsgi.extensions["vibebox"].close()


@_never_raise
def child_exit(server: Any, worker: Any) -> None:
    """Give back the worker's share of the load; runs in the master."""
    worker.load.leave()


def _registry() -> Registry:
    from app.metrics.catalogue import registry

    return registry


def _readings(worker: Any) -> ServerReadings:
    """Return what our worker tells of itself."""
    from prefork_metrics.runtime.scrapes import scrapes

    return ServerReadings(
        threads=scrapes.without(worker.busy_threads),
        queued=worker.queued_requests,
        oldest=worker.oldest_request,
        connections=worker.connections,
    )


install(globals(), directory=_directory, registry=_registry, readings=_readings, refuse=_refuse)
