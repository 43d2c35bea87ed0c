"""What a leader does again and again, each in a thread of its own that ends with the term."""

import logging
import threading
from collections.abc import Callable
from typing import NamedTuple

from app.agent.leader.election import Term
from app.agent.outage_log import OutageLog
from app.core import signals, trace_context
from app.core.errors import LeadershipLostError
from app.core.isolation import Loop

_log = logging.getLogger(__name__)
_AFTER_TROUBLE = 1.0


class Task(NamedTuple):
    """Call `work` every `interval` seconds, or as soon as it is `wanted`; it may raise anything.

    `close` ends what `work` has begun and left behind, within the seconds that it is given; it
    returns the names of what goes on all the same.
    """

    loop: Loop
    interval: float
    work: Callable[[], object]
    wanted: threading.Event | None = None
    close: Callable[[float], list[str]] = lambda seconds: []


def start(task: Task, term: Term) -> threading.Thread:
    """Run the task until the term is over."""
    thread = threading.Thread(target=_run, args=(task, term), name=task.loop, daemon=True)
    thread.start()
    return thread


def _run(task: Task, term: Term) -> None:
    outages = OutageLog(task.loop, _log)
    # Who sets `wanted` at the end of the term wakes the thread.
    wake = task.wanted or term.over
    while not term.over.is_set():
        try:
            with outages.attempt(), trace_context.task(task.loop):
                task.work()
                signals.emit(signals.loop_done, loop=task.loop)
        except LeadershipLostError:
            term.end()
            return
        # What waits for Docker or the database should not wait much longer than they are down.
        wait = min(task.interval, _AFTER_TROUBLE) if outages.troubled else task.interval
        wake.wait(wait)
        # Here, so that what is wanted before the first time, or meanwhile, is done after it.
        if task.wanted is not None:
            task.wanted.clear()
