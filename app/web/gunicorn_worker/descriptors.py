"""How many connections the descriptors of a process have room for."""

import os
import resource

FOR_EACH_THREAD = 4
"""Descriptors that a request may need beside its connection: database, Docker, a file, a pipe."""
FOR_EACH_WEBSOCKET = 4
"""Descriptors that a WebSocket may need beside its connection: its copy, Docker, what wakes it."""
FOR_THE_REST = 64
"""Descriptors for what runs beside the requests, and for what grows meanwhile."""
FEWEST = 16
"""Connections that are taken however few descriptors there are."""


def room(threads: int, websockets: int) -> int:
    """Return how many connections this process can hold, whatever else its threads open."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 1 << 30
    return max(FEWEST, limit - _open() - reserve(threads, websockets))


def reserve(threads: int, websockets: int) -> int:
    """Return how many descriptors are kept for everything but connections."""
    return FOR_EACH_THREAD * threads + FOR_EACH_WEBSOCKET * websockets + FOR_THE_REST


def scarce(connections: int, threads: int, websockets: int) -> str | None:
    """Return what to tell the operator where so many connections cannot be held; else None."""
    held = room(threads, websockets)
    if held >= connections:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"a process may open {limit} files: each worker holds {held} connections instead of "
        f"{connections}; raise the limit (ulimit -n, LimitNOFILE= of systemd, ulimits: of Compose)"
    )


def _open() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return FOR_THE_REST
