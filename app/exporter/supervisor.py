"""Keeps an exporter at work: a child that is started anew when it ends, and ends with its parent.

Both watch who has started them: the kernel tells them of its death by a signal, and whoever died
before that was asked for is noticed by its pid.
"""

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_STOP_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_log = logging.getLogger(__name__)


def supervise(work: Callable[[threading.Event], None], starter: int | None) -> None:
    """Have `work` done in a child until SIGTERM or SIGINT, or the death of the process `starter`.

    Without a starter (somebody typed the command) it outlives the shell it was typed in.

    `work` is given an event that is set when it has to end, and gets five seconds for it.
    """
    stopping = _until_told(starter)
    pause = _FIRST_PAUSE
    while not stopping.is_set():
        begun = time.monotonic()
        child = _fork(work)
        status = _wait(child, stopping)
        if stopping.is_set():
            return
        if time.monotonic() - begun > _LONGEST_PAUSE:
            pause = _FIRST_PAUSE
        _log.warning("exporter ended, starting another", extra={"exit_code": status})
        stopping.wait(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _fork(work: Callable[[threading.Event], None]) -> int:
    """Return the pid of a child that does the work; no signal gets lost between the two."""
    supervisor = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    child = os.fork()
    if child == 0:
        _be_child(work, supervisor)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    return child


def _until_told(starter: int | None) -> threading.Event:
    """Return the event that a signal sets; the death of the starter sends one."""
    stopping = threading.Event()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: stopping.set())
    if starter is None:
        return stopping
    if sys.platform == "linux":  # elsewhere it ends with who stops it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != starter:
        stopping.set()
    return stopping


def _be_child(work: Callable[[threading.Event], None], supervisor: int) -> None:
    code = 1
    try:
        stopping = _until_told(supervisor)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        work(stopping)
        code = 0
    except OSError as error:
        _log.error("exporter failed", extra={"why": str(error)})
    except Exception:
        _log.exception("exporter failed")
    finally:
        os._exit(code)


def _wait(child: int, stopping: threading.Event) -> int:
    """Return the exit code of the child; when stopping, see to it that it ends."""
    ends_at = None
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if stopping.wait(_LOOK_SECONDS) and ends_at is None:
            os.kill(child, signal.SIGTERM)
            ends_at = time.monotonic() + _STOP_SECONDS
        if ends_at is not None:
            if time.monotonic() > ends_at:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.05)
