"""How busy each worker of a server is, in memory that they share.

All workers wait on one listening socket, and the kernel wakes all of them: whoever comes first gets
the connection, and keeps it for all its requests. So one worker may end up with most of them, whose
requests then wait for a thread while another worker has threads to spare. A worker that is busier
than another leaves the other a moment to come first.
"""

import mmap
import struct
import time

_NAP_SECONDS = 0.001
_SIZE = struct.calcsize("q")
_ABSENT = (1 << 62) - 1
_MOST = 256
"""Workers that a server may have, by its settings."""


class Loads:
    """The loads of all workers; made in the master before it forks."""

    def __init__(self) -> None:
        self._shared = memoryview(mmap.mmap(-1, _MOST * _SIZE)).cast("q")
        for place in range(_MOST):
            self._shared[place] = _ABSENT

    def of(self, place: int) -> "Load":
        """Return the load of the worker in this place."""
        return Load(self._shared, place % _MOST)


class Load:
    """How busy one worker is."""

    def __init__(self, shared: "memoryview[int]", place: int) -> None:
        self._shared = shared
        self._place = place

    def tell(self, requests: int, connections: int) -> None:
        """Tell how busy this worker is: by its requests, then by its connections."""
        self._shared[self._place] = requests << 24 | connections

    def leave(self) -> None:
        """Tell that this worker takes no more."""
        self._shared[self._place] = _ABSENT

    def give_way(self) -> None:
        """Sleep for a moment where another worker is less busy."""
        mine = self._shared[self._place]
        if mine and min(self._shared) < mine:
            time.sleep(_NAP_SECONDS)
