"""gunicorn's side: which processes there are, how they end, and what each of them uses.

    # the last lines of gunicorn.conf.py
    from prefork_metrics.gunicorn import install
    install(globals())

Works with the sync and the gthread worker. A gevent or eventlet worker counts as exactly, but has
no threads that could be told as busy, and its scheduling lag is that of its event loop.
"""

import atexit
import inspect
import itertools
import logging
import mmap
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from prefork_metrics import registry as registries
from prefork_metrics.absorb_dead import absorb_dead
from prefork_metrics.directory import Ownership, layout, prepare_for_server
from prefork_metrics.errors import MetricsDirectoryError
from prefork_metrics.registry import Registry
from prefork_metrics.runtime.exits import ExitClassifier
from prefork_metrics.runtime.runtime import MASTER, Runtime
from prefork_metrics.runtime.saturation import ServerReadings
from prefork_metrics.runtime.scrapes import scrapes
from prefork_metrics.runtime.waiting import when_known

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
_TEMPORARY = "prefork-metrics-"
# Through which a binary upgrade tells the next master of the lock that it inherits.
_OWNERSHIP = "_PREFORK_METRICS_DIRECTORY_LOCK"
# Ours comes before the configuration's own: the worker has its place by then, and no lock of the
# master's. In all others it comes after.
_FIRST = frozenset({"pre_fork", "post_fork", "worker_exit"})
# What ends has to be cleaned up after whatever the configuration's own hook does.
_CLEANING = frozenset({"child_exit", "on_exit"})
_PREFIX_BYTES = 256
_log = logging.getLogger(__name__)

Readings = Callable[[Any], ServerReadings]


def install(
    config: dict[str, Any],
    *,
    directory: Path | str | None = None,
    registry: Callable[[], Registry] | None = None,
    readings: Readings | None = None,
    refuse: Callable[[Exception], NoReturn] | None = None,
) -> None:
    """Add what the library does to a configuration: the `globals()` of gunicorn.conf.py.

    Call it in the last line: hooks that are there are called too, those that come later would
    take the place of ours.

    directory: which the processes share (default: PROMETHEUS_MULTIPROC_DIR, or one that is made
    anew and deleted at the end). registry: returns the service's (default: that of the application,
    which the master learns from its workers). readings: what a worker of a class of one's own tells
    of itself. refuse: told why the server cannot start, ends it (default: a sentence, and exit
    code 1).
    """
    if directory is not None:
        os.environ[DIRECTORY] = str(Path(directory).absolute())
    elif not os.environ.get(DIRECTORY):
        os.environ[DIRECTORY] = tempfile.mkdtemp(prefix=_TEMPORARY)
        atexit.register(_delete_unused, os.environ[DIRECTORY], os.getpid())
    hooks = _Hooks(Path(os.environ[DIRECTORY]), registry, readings or _readings, refuse or _refuse)
    for name, ours in inspect.getmembers(hooks, inspect.ismethod):
        if not name.startswith("_"):
            config[name] = _chained(name, ours, config.get(name))


class _Hooks:
    """gunicorn's hooks, by their names. What belongs to the master is kept with its arbiter, since
    a reload runs the configuration anew."""

    def __init__(
        self,
        directory: Path,
        registry: Callable[[], Registry] | None,
        readings: Readings,
        refuse: Callable[[Exception], NoReturn],
    ) -> None:
        self._directory = directory
        self._given = registry
        self._readings = readings
        self._refuse = refuse

    def on_starting(self, server: Any) -> None:
        """Prepare the directory, or refuse in one sentence."""
        is_ours = not self._directory.exists() or _is_temporary(self._directory)
        try:
            ownership, live = prepare_for_server(
                self._directory,
                ", ".join(map(str, server.cfg.bind)),
                inherited=os.environ.pop(_OWNERSHIP, None),
            )
            if is_ours:
                _give(self._directory, server.cfg)
        except (MetricsDirectoryError, OSError) as error:
            self._refuse(error)
        server.prefork_metrics = _Master(ownership)
        _log.info(
            "metrics directory prepared",
            extra={"metrics_directory": str(self._directory), "live_members": live},
        )

    def when_ready(self, server: Any) -> None:
        """Begin to measure the master itself, as soon as it knows under which names."""
        master: _Master = server.prefork_metrics
        when_known(partial(self._registry, master), master.start)

    def pre_exec(self, server: Any) -> None:
        """Hand the lock on the directory down to the next master of a binary upgrade (USR2)."""
        server.cfg.env_orig[_OWNERSHIP] = server.prefork_metrics.ownership.hand_down()

    def on_reload(self, server: Any) -> None:
        """Tell workers of the old code from those of the new."""
        server.prefork_metrics.exits.on_reload(server)

    def pre_fork(self, server: Any, worker: Any) -> None:
        """Give the worker the lowest free place, so that names are few and are used again."""
        taken = {getattr(other, "place", None) for other in server.WORKERS.values()}
        worker.place = next(
            place for place in map("web-{}".format, itertools.count()) if place not in taken
        )
        server.prefork_metrics.exits.pre_fork(worker)

    def post_fork(self, server: Any, worker: Any) -> None:
        """Let go of the lock: a worker that outlives the master must not keep the next one out."""
        server.prefork_metrics.ownership.forget()
        worker.prefork_metrics = server.prefork_metrics

    def post_worker_init(self, worker: Any) -> None:
        """Begin to measure the worker."""
        master: _Master = worker.prefork_metrics
        registry = self._given() if self._given else registries.of_process() or Registry()
        master.tell(registry.prefix)
        worker.runtime = Runtime(
            registry,
            registry.roles[0],
            worker.place,
            server=self._readings(worker),
            sockets=worker.sockets,
        )
        worker.runtime.start()

    def worker_exit(self, server: Any, worker: Any) -> None:
        """Publish for the last time; gunicorn calls this in the worker.

        The place in the directory is kept: threads may still be counting, and the kernel gives it
        back when the last of them has ended.
        """
        if worker.pid != os.getpid():
            return  # the master, cleaning up after a worker that is gone already
        server.prefork_metrics.exits.worker_exit(worker)
        if getattr(worker, "runtime", None) is not None:
            worker.runtime.close()

    def child_exit(self, server: Any, worker: Any) -> None:
        """Count why the worker ended and absorb what it counted; runs in the master."""
        master: _Master = server.prefork_metrics
        registry = self._registry(master) or Registry()
        try:
            master.exits.child_exit(worker, registry)
        finally:  # a reason that cannot be told must not keep counts from the archive
            absorb_dead(registry, self._directory)

    def on_exit(self, server: Any) -> None:
        """Leave the directory, after the last word on the master itself."""
        master: _Master | None = getattr(server, "prefork_metrics", None)
        if master is None:
            return
        try:
            master.close()
        finally:
            # Of a binary upgrade the other master lives on in it.
            alone = not getattr(server, "reexec_pid", 0) and not server.master_pid
            if alone and _is_temporary(self._directory):
                shutil.rmtree(self._directory, ignore_errors=True)

    def _registry(self, master: "_Master") -> Registry | None:
        """Return the registry to count with in the master, None where its prefix is not known."""
        if self._given is not None:
            return self._given()
        return master.learned()


class _Master:
    """What lives as long as gunicorn's master."""

    def __init__(self, ownership: Ownership) -> None:
        self.ownership = ownership
        self.exits = ExitClassifier()
        self.exits.on_starting()
        self._runtime: Runtime | None = None
        self._registry: Registry | None = None
        # Shared with the workers, the first of which writes its prefix.
        self._prefix = mmap.mmap(-1, _PREFIX_BYTES)

    def tell(self, prefix: str) -> None:
        """In a worker: say under which prefix the application declares its families."""
        encoded = prefix.encode()
        if len(encoded) < _PREFIX_BYTES and not self._prefix[0]:
            self._prefix[1 : 1 + len(encoded)] = encoded
            self._prefix[0] = len(encoded)

    def learned(self) -> Registry | None:
        """Return a registry with the workers' prefix, None before the first has told it."""
        if self._registry is None and (length := self._prefix[0]):
            self._registry = Registry(self._prefix[1 : 1 + length].decode())
        return self._registry

    def start(self, registry: Registry) -> None:
        """Begin to measure this process."""
        self.exits.create_all(registry)
        self._runtime = Runtime(registry, registry.roles[0], MASTER)
        self._runtime.start()

    def close(self) -> None:
        """Measure no more, and give the directory up."""
        try:
            if self._runtime is not None:
                self._runtime.close()
            self.exits.on_exit()
        finally:
            self.ownership.forget()


def _is_temporary(directory: Path) -> bool:
    return directory.name.startswith(_TEMPORARY)


def _delete_unused(directory: str, process: int) -> None:
    """Delete the directory that was made where no server has started, as to check a configuration.

    A server deletes its own, and a worker runs what its master registered.
    """
    if os.getpid() == process and not os.path.exists(os.path.join(directory, layout.OWNER)):
        shutil.rmtree(directory, ignore_errors=True)


def _give(directory: Path, config: Any) -> None:
    """Let the user as whom the workers run write to a directory that was made for them."""
    if os.geteuid() == 0 and (config.uid, config.gid) != (os.geteuid(), os.getegid()):
        os.chown(directory, config.uid, config.gid)


def _chained(
    name: str, ours: Callable[..., None], theirs: Callable[..., None] | None
) -> Callable[..., None]:
    """Return a hook that calls both, with as many parameters as gunicorn expects of it."""

    def call(*arguments: Any) -> None:
        if name in _FIRST:
            _guarded(name, ours, arguments)
        try:
            if theirs is not None:
                theirs(*arguments)
        except BaseException:  # is gunicorn's to deal with, as without us
            if name in _CLEANING:
                _guarded(name, ours, arguments)
            raise
        if name not in _FIRST:
            _guarded(name, ours, arguments)

    # gunicorn counts the parameters of a hook.
    call.__signature__ = inspect.signature(ours)  # type: ignore[attr-defined]
    return call


def _guarded(name: str, hook: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Log what goes wrong in a hook of ours: in the master it would end the whole server."""
    try:
        hook(*arguments)
    except Exception:
        _log.exception("server hook failed", extra={"hook": name})


def _readings(worker: Any) -> ServerReadings:
    """Return what the workers that gunicorn brings along tell of themselves."""
    if hasattr(worker, "tpool") and hasattr(worker, "keepalived_conns"):
        pool, total = worker.tpool, worker.cfg.threads

        def busy() -> tuple[int, int]:
            waiting = pool._work_queue.qsize()
            idle = len(worker.keepalived_conns) + len(worker.pending_conns)
            return min(total, max(0, worker.nr_conns - idle - waiting)), total

        return ServerReadings(threads=scrapes.without(busy), queued=pool._work_queue.qsize)
    _log.info("this worker class has no threads to tell of", extra={"class": type(worker).__name__})
    return ServerReadings()


def _refuse(error: Exception) -> NoReturn:
    print(f"gunicorn cannot start: {error}", file=sys.stderr)
    sys.exit(1)
