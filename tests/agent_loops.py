"""What tests need of loops that serve items in threads of their own."""

import threading
from collections.abc import Callable

PATIENCE = 30.0


def run_through(run: Callable[[], object]) -> None:
    """Run a task once, and wait for the threads that it has begun."""
    before = set(threading.enumerate())
    run()
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
