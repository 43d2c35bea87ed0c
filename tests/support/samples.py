"""What metrics say in this process, and what moved them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from prefork_metrics.registry import Registry

Readings: TypeAlias = dict[tuple[str, ...], float]


class Samples:
    """The samples of a registry."""

    def __init__(self, registry: Registry) -> None:
        self._client = registry.client

    def read(self, name: str) -> Readings:
        """Return the samples called `name`, by their label values in the order of the labels."""
        collected = self._client.restricted_registry([name]).collect()
        return {
            tuple(sample.labels.values()): sample.value
            for metric in collected
            for sample in metric.samples
            if sample.name == name
        }

    @contextmanager
    def moved(self, name: str) -> Iterator[Readings]:
        """Fill the yielded mapping, at the end, with how far each sample of `name` moved."""
        before = self.read(name)
        changes: Readings = {}
        yield changes
        for labels, value in self.read(name).items():
            if value != before.get(labels, 0.0):
                changes[labels] = value - before.get(labels, 0.0)

    def series(self) -> set[tuple[str, ...]]:
        """Return every series that this process has."""
        return {
            (sample.name, *sample.labels.values())
            for metric in self._client.collect()
            for sample in metric.samples
        }
