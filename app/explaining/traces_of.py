"""The traces behind a route: those that exemplars name, else those that the store finds."""

from collections.abc import Sequence
from time import time

from app.core.errors import StoreAnswerTooLargeError, StoreUnavailableError
from app.explaining.watched import Watched
from app.stores.prometheus import Exemplar
from app.stores.traces import SETTING, StoredTrace, TraceStore

MOST = 3
"""Traces that are read of a route."""
_MOST_FOUND = 20
_LAST_MINUTES = 300.0


class Traces:
    """What was read of them, for the search and for whoever reads the answer."""

    def __init__(self, watched: Watched, store: TraceStore | None) -> None:
        self._watched = watched
        self._store = store
        self._known: dict[str, StoredTrace | None] = {}
        self.exemplars: list[Exemplar] = []
        self.read: list[StoredTrace] = []
        """The traces of the last route that was asked for."""
        self.missing: str | None = f"{SETTING} is not set" if store is None else None
        """Why traces are missing; None where none are."""
        self._is_gone = False
        self._too_large: dict[str, str] = {}
        """Of traces that were not read for it: what is said of them."""

    def of_route(self, route: str, *, failed: bool = False) -> list[StoredTrace]:
        """Return traces of a route, those first that were slowest, or that failed.

        Raises: StoreUnavailableError (Prometheus).
        """
        wanted = {"route": route}
        found = self._watched.exemplars(wanted)
        if failed:
            found = [one for one in found if one.series.get("status_code", "").startswith("5")]
        return self._of(_worst(found), {"http.route": route}, failed=failed)

    def of_family(self, labels: dict[str, str], name: str) -> list[StoredTrace]:
        """Return traces that exemplars of another histogram name. Raises: as `of_route`."""
        return self._of(_worst(self._watched.exemplars(labels, name)), {}, failed=False)

    def _of(
        self, exemplars: list[Exemplar], tags: dict[str, str], *, failed: bool
    ) -> list[StoredTrace]:
        self.exemplars = exemplars[:MOST]
        self.read = []
        if self._store is None or self._is_gone:
            return []
        try:
            named = [self._trace(one.labels["trace_id"]) for one in exemplars[:MOST]]
            self.read = [one for one in named if one is not None]
            if not self.read and tags:
                self.read = self._searched(self._store, tags, failed)
        except StoreAnswerTooLargeError as error:  # of the search
            self.missing = error.detail
        except StoreUnavailableError as error:
            self.missing = error.detail
            self._is_gone = True  # nor is it waited for again
        else:
            large = [self._too_large.get(one.labels["trace_id"]) for one in exemplars[:MOST]]
            why = next(filter(None, large), "no trace of it is in the store")
            self.missing = None if self.read else why
        return self.read

    def _trace(self, id: str) -> StoredTrace | None:
        assert self._store is not None
        if id not in self._known:
            try:
                self._known[id] = self._store.trace(id)
            except StoreAnswerTooLargeError as error:
                self._known[id], self._too_large[id] = None, error.detail
        return self._known[id]

    def _searched(self, store: TraceStore, tags: dict[str, str], failed: bool) -> list[StoredTrace]:
        now = time()
        since = now - max(_LAST_MINUTES, 2 * self._watched.seconds)
        found = store.search(tags, since, now + 1, _MOST_FOUND)
        found.sort(key=lambda one: (failed and bool(one.root.error), one.root.seconds))
        return found[::-1][:MOST]


def _worst(exemplars: Sequence[Exemplar]) -> list[Exemplar]:
    """Return those that name a trace, each once, those of the most seconds first."""
    named = {one.labels["trace_id"]: one for one in exemplars if one.labels.get("trace_id")}
    return sorted(named.values(), key=lambda one: one.value, reverse=True)
