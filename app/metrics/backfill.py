"""Keeps counters equal to numbers that the database holds (see `app.domain.durable_counters`).

A process that is killed after its commit and before it counted leaves its counter behind. The next
leading agent reads what the whole directory shows, and counts what the database says is missing.
"""

import json
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from app.metrics.catalogue import registry
from app.metrics.events import DURABLE
from app.storage import DurableCounter
from prefork_metrics.absorb_dead import absorb_dead
from prefork_metrics.directory import codec, disk, layout, locks, snapshot
from prefork_metrics.values import store

Numbers = Mapping[tuple[str, str], int]
_LONGEST = 36
_COUNTERS = {family.name: counter for counter, family in DURABLE.items()}


def directory_identity(directory: Path) -> str:
    """Return what names the directory for as long as its counters go on; made where there is none.

    Raises: MetricsDirectoryBusyError, OSError.
    """
    path = directory / layout.IDENTITY
    with locks.exclusive(directory):
        try:
            found = disk.read(path).decode("ascii", "replace").strip()
        except FileNotFoundError:
            found = ""
        if found and len(found) <= _LONGEST:
            return found
        made = str(uuid4())
        disk.write(path, made.encode())
        return made


def backfill(numbers: Numbers) -> dict[tuple[str, str], int]:
    """Count what `numbers`, by counter and value, say is missing in the directory; return that.

    Only one process may count these families meanwhile: call it before the work of a term begins.
    Raises: MetricsDirectoryBusyError, OSError, ValueFileUnreadableError.
    """
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory is None or not store.shared:
        # What this process counts is not there to be read: it will be, at a later term.
        return {}
    absorb_dead(registry, Path(directory))
    shown = _shown(Path(directory))
    missing = {
        (family, value): number - shown[family, value]
        for (family, value), number in numbers.items()
        if family in DURABLE and number > shown[family, value]
    }
    for (family, value), amount in missing.items():
        DURABLE[DurableCounter(family)].child(value).inc(amount)
    return missing


def _shown(directory: Path) -> defaultdict[tuple[str, str], int]:
    """Return what a scrape would show of these families."""
    sums: defaultdict[tuple[str, str], float] = defaultdict(float)
    with snapshot(directory) as current:
        for path in current.files:
            if path.name.startswith("counter_"):
                for entry in codec.read(path):
                    _, sample, labels, _ = json.loads(entry.key)
                    if sample in _COUNTERS and len(labels) == 1:
                        (value,) = labels.values()
                        sums[_COUNTERS[sample], value] += entry.value
    return defaultdict(int, {key: round(number) for key, number in sums.items()})
