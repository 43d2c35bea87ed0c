"""Loads code without the garbage collector, and leaves what was loaded out of its rounds.

Code is hundreds of thousands of objects that live as long as the process. The collector would look
at all of them several times while they are made, and again in each full round of each worker, which
stops every thread for that long and copies the memory that a forked process shares.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading(*, again: bool = False) -> Iterator[None]:
    """Import within; what there is afterwards is frozen (`gc.freeze`).

    Args:
        again: Code was loaded before, and part of it is garbage since: that is collected first.
    """
    gc.disable()
    try:
        yield
        if again:
            gc.unfreeze()
            gc.collect()
        gc.freeze()
    finally:
        gc.enable()
