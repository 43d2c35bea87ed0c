"""Waiting for what another process has to tell, in a thread of its own."""

import os
import threading
from collections.abc import Callable
from typing import TypeVar

_LOOK_SECONDS = 0.25
T = TypeVar("T")


def when_known(look: Callable[[], T | None], then: Callable[[T], None]) -> None:
    """Call `then` with what `look` returns, now, or as soon as that is not None."""
    found = look()
    if found is not None:
        then(found)
        return
    process = os.getpid()

    def wait() -> None:
        pause = threading.Event()
        while os.getpid() == process and not pause.wait(_LOOK_SECONDS):
            found = look()
            if found is not None:
                then(found)
                return

    threading.Thread(target=wait, name="metrics-prefix", daemon=True).start()
