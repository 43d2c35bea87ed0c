"""States: what an Info or an Enum was set to last, by whichever process.

The client library's files hold numbers only, so each process writes its states to a file beside
them. The newest of a name and labels is shown; when a process has ended, the archive takes its
states over.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from prefork_metrics.directory import disk

KIND = "states"


class State(NamedTuple):
    """What was set. Attributes: kind (info or enum), name, help, labels, told (the labels of an
    Info; of an Enum each state and whether it is this one), time (seconds since 1970; 0: never
    set, this is what it begins with)."""

    kind: str
    name: str
    help: str
    labels: dict[str, str]
    told: dict[str, Any]
    time: float

    @property
    def key(self) -> str:
        """Names the series."""
        return json.dumps([self.name, sorted(self.labels.items())])


States = dict[str, State]


def encode(states: Mapping[str, State]) -> bytes:
    """Return the content of a file with these states."""
    return json.dumps(list(states.values())).encode()


def newest(sides: Iterable[Path], removed: Mapping[str, float]) -> States:
    """Return the newest state of each series; of `sides` as much as can be read.

    removed: until when the states of a series are not shown.
    """
    found: States = {}
    for path in sides:
        if path.name.startswith(f"{KIND}_"):
            for state in _read(path):
                known = found.get(state.key)
                if known is None or state.time > known.time:
                    found[state.key] = state
    return {
        key: state for key, state in found.items() if state.time > removed.get(key, float("-inf"))
    }


def _read(path: Path) -> list[State]:
    with suppress(OSError, ValueError, TypeError, AttributeError):  # costs no more than states
        return [
            State(str(kind), str(name), str(help), dict(labels), dict(told), float(time))
            for kind, name, help, labels, told, time in json.loads(disk.read(path))
        ]
    return []
