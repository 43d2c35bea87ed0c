"""Commands that were begun in containers and did not end: no more than a few in each.

Docker cannot end a command, and each that goes on costs the engine, which serves everybody, some
descriptors. A container in which every command hangs would be given one after the other.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from app.core.errors import CommandRunawayError

MOST = 4
"""Commands that may hang in a container before no further one is begun there."""

# Containers more than these are forgotten, the one that was noted longest ago first.
_CONTAINERS = 1000


class HangingCommands:
    """Remembers the commands that did not end in time, of this process; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commands: OrderedDict[str, list[str]] = OrderedDict()

    def note(self, container: str, exec_id: str) -> None:
        """Remember a command that goes on though nobody waits for it."""
        with self._lock:
            self._commands.setdefault(container, []).append(exec_id)
            self._commands.move_to_end(container)
            while len(self._commands) > _CONTAINERS:
                self._commands.popitem(last=False)

    def refuse(self, container: str, goes_on: Callable[[str], bool]) -> None:
        """Raise CommandRunawayError where too many go on, which `goes_on` tells by their ids.

        Costs nothing where few were noted.
        """
        with self._lock:
            noted = list(self._commands.get(container, ()))
        if len(noted) < MOST:
            return
        ended = {exec_id for exec_id in noted if not goes_on(exec_id)}
        with self._lock:
            left = [id for id in self._commands.get(container, ()) if id not in ended]
            if left:
                self._commands[container] = left
            else:
                self._commands.pop(container, None)
        if len(left) >= MOST:
            raise CommandRunawayError
