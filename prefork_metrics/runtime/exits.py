"""Why web workers end, counted by gunicorn's master.

What tells the reasons apart, and where it comes from (gunicorn 27, `arbiter.py`):

* `timeout`: `worker.aborted`, which `murder_workers` sets in the master when the heartbeat stops;
  whatever signal ends the worker then.
* `crashed`: the wait status shows a fault (SIGSEGV, SIGBUS, …) or an exit code other than 0. A
  worker that cannot boot is not counted: gunicorn halts before it calls `child_exit`.
* `reloaded`, `shutdown`: the master sent the worker TERM, QUIT or KILL; `reloaded` where it is
  older than the last reload (its `age` against `worker_age` in `on_reload`), else `shutdown` (the
  end of the server, or TTOU).
* `recycled`: the worker noted in memory shared with the master, as it left, that it had served
  its `max_requests`.
* `killed`: any other end. A signal that the master did not send: the kernel's when memory runs
  short, an operator's. A worker told to stop by somebody else ends in good order, and is this too.

The hooks get no wait status, nor is it stored: `reap_workers` forgets it. So the arbiter's module
gets an `os` that remembers what `waitpid` and `kill` did. If a later gunicorn works otherwise the
status is unknown, and an end that nothing else explains counts as `crashed`: better one alarm too
many. A worker that ends after the graceful time-out of a shutdown is not counted, because nobody is
left to reap it.
"""

import importlib
import logging
import mmap
import os
import signal
from dataclasses import dataclass
from typing import Any

from prefork_metrics.registry import Registry

_FAULTS = frozenset(
    {
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGILL,
        signal.SIGFPE,
        signal.SIGABRT,
        signal.SIGSYS,
        signal.SIGTRAP,
    }
)
_STOPPING = frozenset({signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL})
_ARBITER = "gunicorn.arbiter"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exit:
    """What the master knows of a worker that ended.

    Attributes: status (the wait status, None where it is unknown), aborted (the heartbeat check
    gave it up), told (signals to stop that the master sent), outdated (it is older than the last
    reload), recycling (it had served its `max_requests`).
    """

    status: int | None
    aborted: bool = False
    told: frozenset[int] = frozenset()
    outdated: bool = False
    recycling: bool = False


def reason(end: Exit) -> str:
    """Return the `reason` label of a worker's end."""
    if end.aborted:
        return "timeout"
    if end.status is not None and os.WIFSIGNALED(end.status):
        return _reason_of_signal(os.WTERMSIG(end.status), end)
    if end.status is not None and os.WEXITSTATUS(end.status) != 0:
        return "crashed"
    if end.told:
        return _reason_told(end)
    if end.recycling:
        return "recycled"
    return "crashed" if end.status is None else "killed"


def _reason_of_signal(number: int, end: Exit) -> str:
    if number in _FAULTS:
        return "crashed"
    return _reason_told(end) if number in end.told else "killed"


def _reason_told(end: Exit) -> str:
    return "reloaded" if end.outdated else "shutdown"


class ExitClassifier:
    """Counts the ends of workers; the master's hooks tell it what happens.

    It lives as long as the master. Each method bears the name of the hook that calls it.
    """

    def __init__(self) -> None:
        self._watch = _Watch()
        self._reloaded_at = 0

    def on_starting(self) -> None:
        """Watch the arbiter."""
        self._watch.install()

    @staticmethod
    def create_all(registry: Registry) -> None:
        """Create every reason at 0."""
        registry.server.worker_exits.create_all()

    def on_exit(self) -> None:
        """Watch no more."""
        self._watch.remove()

    def pre_fork(self, worker: Any) -> None:
        """Share a byte with the worker that is to be forked."""
        worker.served_its_share = mmap.mmap(-1, 1)

    def on_reload(self, server: Any) -> None:
        """Remember the youngest worker of the old code; the new ones are forked after this."""
        self._reloaded_at = server.worker_age

    @staticmethod
    def worker_exit(worker: Any) -> None:
        """In the worker: note that it leaves because it has served its `max_requests`."""
        if worker.nr >= worker.max_requests:
            worker.served_its_share[0] = 1

    def child_exit(self, worker: Any, registry: Registry) -> str:
        """Count the end of a worker, and return its reason."""
        status, told = self._watch.take(worker.pid)
        shared = getattr(worker, "served_its_share", None)
        end = Exit(
            status=status,
            aborted=worker.aborted,
            told=told,
            outdated=worker.age <= self._reloaded_at,
            recycling=bool(shared and shared[0]),
        )
        name = reason(end)
        registry.server.worker_exits.child(name).inc()
        _log.info("worker ended", extra={"worker_pid": worker.pid, "reason": name})
        return name


class _Watch:
    """What the arbiter did to its workers, and how they ended."""

    def __init__(self) -> None:
        self._last: tuple[int, int] = (0, 0)
        self._told: dict[int, set[int]] = {}

    def install(self) -> None:
        """Give the arbiter's module an `os` that tells this object."""
        arbiter: Any = importlib.import_module(_ARBITER)
        arbiter.os = _WatchedOs(self)

    def remove(self) -> None:
        """Give it the real one back."""
        arbiter: Any = importlib.import_module(_ARBITER)
        arbiter.os = os

    def take(self, pid: int) -> tuple[int | None, frozenset[int]]:
        """Return and forget the wait status and the signals to stop of a worker."""
        # gunicorn calls child_exit right after the waitpid that reaped the worker.
        reaped, status = self._last
        return (status if reaped == pid else None), frozenset(self._told.pop(pid, ()))

    def waited(self, pid: int, status: int) -> None:
        """Learn that a child was reaped."""
        if pid:
            self._last = pid, status

    def killed(self, pid: int, number: int) -> None:
        """Learn that a signal was sent."""
        if number in _STOPPING:
            self._told.setdefault(pid, set()).add(number)


class _WatchedOs:
    """The `os` module, with two functions that tell the watch what they did."""

    def __init__(self, watch: _Watch) -> None:
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def waitpid(self, pid: int, options: int, /) -> tuple[int, int]:
        """See os.waitpid."""
        reaped, status = os.waitpid(pid, options)
        self._watch.waited(reaped, status)
        return reaped, status

    def kill(self, pid: int, number: int, /) -> None:
        """See os.kill."""
        os.kill(pid, number)
        self._watch.killed(pid, number)
