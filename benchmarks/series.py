"""The series that the scrapes read: the same ones written by ours and by the stock client.

Half of the lines are a histogram's, as in VibeBox itself.
"""

import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.exposition import generate_latest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import CollectorRegistry

from app.metrics.catalogue import registry
from prefork_metrics.directory import Membership, layout
from prefork_metrics.exposition import Exposition
from prefork_metrics.values import ValueFile

BOUNDS = (*(f"{2.0**exponent}" for exponent in range(-10, 2)), "+Inf")
_ROUTES = 25


def keys(lines: int) -> Iterator[tuple[str, str]]:
    """Give the file's type and the key of as many values as make `lines` lines of a scrape."""
    histograms = lines // 2 // (len(BOUNDS) + 2)
    for number in range(histograms):
        names, texts = ["method", "route"], ["GET", f"/api/items/{number}"]
        family = f"vibebox_part{number // _ROUTES}_duration_seconds"
        for bound in BOUNDS:
            key = mmap_key(family, f"{family}_bucket", [*names, "le"], [*texts, bound], "Seconds.")
            yield "histogram", key
        yield "histogram", mmap_key(family, f"{family}_sum", names, texts, "Seconds.")
    # The exposition looks for this one, which every process of ours has.
    errors = "vibebox_metrics_collect_errors"
    yield "counter", mmap_key(errors, f"{errors}_total", ["collector"], ["files"], "Parts.")
    for number in range(lines - histograms * (len(BOUNDS) + 2) - 1):
        family = f"vibebox_part{number // _ROUTES}"
        names, texts = ["route", "status"], [f"/api/items/{number}", "200"]
        yield "counter", mmap_key(family, f"{family}_total", names, texts, "Events.")


class Member:
    """A process of ours as the directory sees it: a place in it, and files of values."""

    def __init__(self, directory: Path, lines: int) -> None:
        self._membership = Membership(directory)
        self._files: dict[str, ValueFile] = {}
        self._values: list[tuple[ValueFile, int]] = []
        for number, (kind, key) in enumerate(keys(lines)):
            if kind not in self._files:
                path = layout.values_path(directory, kind, self._membership.name)
                self._files[kind] = ValueFile(path, kind)
            file = self._files[kind]
            self._values.append((file, file.index(key)))
            file.doubles[self._values[-1][1]] = number * 0.25

    def count(self) -> None:
        """Change a tenth of the values, as the requests between two scrapes do."""
        for file, index in self._values[::10]:
            file.doubles[index] += 1.0

    def die(self) -> None:
        """What the kernel does at the end of a process: the files stay, the lock goes."""
        self._membership.forget()


class Ours:
    """Scrapes of a directory through the product's own exposition, which it keeps."""

    def __init__(self, directory: Path, lines: int) -> None:
        self._directory, self._lines = directory, lines
        self._exposition = Exposition(registry)

    def seconds(self) -> float:
        """Return the time of one scrape."""
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._directory)
        try:
            return _timed(lambda: self._exposition.render("")[0], self._lines)
        finally:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]


class Stock:
    """The files of processes of the stock client, and scrapes with its own collector."""

    def __init__(self, directory: Path, lines: int) -> None:
        self._directory, self._lines = directory, lines
        self._patterns = _stock_files(directory, lines)
        self._processes = 1

    def grow(self, processes: int) -> None:
        """Let there be that many processes: they differ in their pids alone."""
        for pid in range(self._processes + 1, processes + 1):
            for kind, pattern in self._patterns.items():
                _copy(pattern, self._directory / f"{kind}_{pid}.db")
        self._processes = max(self._processes, processes)

    def seconds(self) -> float:
        """Return the time of one scrape."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._directory))
        return _timed(lambda: generate_latest(registry), self._lines)


def allocated(directory: Path) -> int:
    """Return what the files take of the disk in bytes, as `du` counts."""
    return sum(path.stat().st_blocks * 512 for path in directory.iterdir())


def _stock_files(directory: Path, lines: int) -> dict[str, Path]:
    """Write the files of the process 1."""
    files = {kind: directory / f"{kind}_1.db" for kind in ("counter", "histogram")}
    values = {kind: MmapedDict(str(path)) for kind, path in files.items()}
    for number, (kind, key) in enumerate(keys(lines)):
        values[kind].write_value(key, number * 0.25, 0.0)
    for file in values.values():
        file.close()
    return files


def _copy(source: Path, target: Path) -> None:
    """Copy what is used; the rest is a hole, as the stock client leaves it."""
    data = source.read_bytes()
    (used,) = struct.unpack_from("i", data)
    with target.open("wb") as file:
        file.write(data[:used])
        file.truncate(len(data))


def _timed(scrape: Callable[[], bytes], lines: int) -> float:
    """Return the seconds that a scrape took; it must have shown what there is."""
    started = time.perf_counter()
    body = scrape()
    seconds = time.perf_counter() - started
    if body.count(b"\n") < lines:
        raise RuntimeError("the scrape left something out")
    return seconds
