"""Keeps an exporter at work: a child that is started anew when it ends, and ends with its parent.

gunicorn's master has no moment of its own in which it could look whether a helper still lives.
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
_log = logging.getLogger(__name__)


def supervise(work: Callable[[threading.Event], None]) -> None:
    """Have `work` done in a child until SIGTERM or SIGINT, or the death of who started this.

    `work` is given an event that is set when it has to end, and gets five seconds for it.
    """
    stopping = _until_told()
    pause = _FIRST_PAUSE
    while not stopping.is_set():
        begun = time.monotonic()
        child = os.fork()
        if child == 0:
            _be_child(work)
        status = _wait(child, stopping)
        if stopping.is_set():
            return
        if time.monotonic() - begun > _LONGEST_PAUSE:
            pause = _FIRST_PAUSE
        _log.warning("exporter ended, starting another", extra={"exit_code": status})
        stopping.wait(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _until_told() -> threading.Event:
    """Return the event that a signal sets; the death of the parent sends one."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    parent = os.getppid()
    if sys.platform == "linux":  # elsewhere it ends with who stops it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        stopping.set()
    return stopping


def _be_child(work: Callable[[threading.Event], None]) -> None:
    code = 1
    try:
        work(_until_told())
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
