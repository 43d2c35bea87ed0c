"""What a scrape says of what it cannot show: found out by who answers it, and stored nowhere.

Counts that lie in a directory which fails are missing in the very scrape that an alert reads. So
how many processes are hidden, and what is wrong with the directory, is looked at anew each time.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.core import Metric

from prefork_metrics.directory import Snapshot, State, Trouble, trouble_with
from prefork_metrics.directory.room import NONE_LEFT
from prefork_metrics.directory.trouble import meaning
from prefork_metrics.registry import Registry
from prefork_metrics.values import store


class Visibility:
    """Of one scrape: the processes that the directory names, and what is wrong with it."""

    def __init__(self, registry: Registry) -> None:
        self._families = registry.scrape
        self._states: Counter[State] | None = None
        self._trouble: Trouble | None = None

    @contextmanager
    def looking(self, directory: Path) -> Iterator[None]:
        """Frame a look at the directory; what it raises goes on."""
        self._states, self._trouble = Counter(), None
        try:
            yield
        except Exception as error:
            # Who has no descriptor left to look with says nothing of the directory.
            if getattr(error, "errno", None) not in NONE_LEFT:
                self._trouble = meaning(error)
            raise
        finally:
            if self._trouble is None and (found := trouble_with(directory)):
                self._trouble = found[0]

    def saw(self, current: Snapshot) -> None:
        """Note whom the directory names."""
        self._states = Counter(current.states)

    def families(self) -> Iterable[Metric]:
        """Return what there is to say; nothing where there is no directory."""
        if self._states is None:
            return []
        states = self._states.copy()
        if not store.joined:
            # Others that could not join either tell of themselves when they are asked.
            states[State.HIDDEN] += 1
        return [
            self._families.processes.samples([((state,), float(states[state])) for state in State]),
            self._families.directory_trouble.samples(
                [((reason,), float(reason is self._trouble)) for reason in Trouble]
            ),
        ]
