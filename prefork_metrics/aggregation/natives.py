"""The native buckets of each series, added up over all processes at each scrape."""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from prefork_metrics.directory import native_records, past_natives
from prefork_metrics.directory.native_records import KIND, Counts
from prefork_metrics.directory.removed import Natives
from prefork_metrics.outline import Labels

Series = tuple[str, Labels]
"""Name of the family, and labels in the order of their names."""


def natives(sides: Iterable[Path], removed: Mapping[str, Natives]) -> dict[Series, Counts]:
    """Return the counts of each series; `removed`: of each member what is not shown."""
    found: dict[str, Counts] = {}
    for path in sides:
        kind, _, member = path.stem.partition("_")
        if kind == KIND:
            of_member = past_natives.read([path])
            native_records.without(of_member, removed.get(member, {}))
            native_records.merge(found, of_member)
    return {_series(key): counts for key, counts in found.items()}


@lru_cache(maxsize=4096)
def _series(key: str) -> Series:
    family, _, labels, _ = json.loads(key)
    return family, tuple(sorted(labels.items()))
