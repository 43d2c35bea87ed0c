"""A helper process that is there for as long as this one: started anew whenever it ends."""

import logging
import os
import subprocess
import threading
from collections.abc import Sequence
from time import monotonic

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_log = logging.getLogger(__name__)


class KeptProcess:
    """Runs a command, whose last argument is the pid of this process: it ends when that is gone.

    The thread here only waits. The helper has a session of its own: a Ctrl-C in the terminal, which
    all get at once, is for this process, which then ends its helper last.
    """

    def __init__(self, command: Sequence[str], stop_seconds: float) -> None:
        """stop_seconds: what it may take to end when it is told to."""
        self._command = [*command, str(os.getpid())]
        self._stop_seconds = stop_seconds
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="kept process", daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        pause = _FIRST_PAUSE
        while not self._closing.is_set():
            begun = monotonic()
            try:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, start_new_session=True
                )
            except OSError as error:
                _log.warning("helper not started", extra={"why": str(error)})
            else:
                self._process.wait()
                if self._closing.is_set():
                    return
                _log.warning(
                    "helper ended, starting another", extra={"pid_ended": self._process.pid}
                )
            if monotonic() - begun > _LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            self._closing.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def close(self) -> None:
        """Have it end, in its time, and wait for that."""
        self._closing.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            self._thread.join(self._stop_seconds)
            if self._thread.is_alive():
                process.kill()
        self._thread.join(self._stop_seconds)
