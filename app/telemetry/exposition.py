"""The scrape: every collector's part, or what is left when one cannot be read.

Content negotiation is the client library's: the text format, or OpenMetrics by `Accept`.
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from app.telemetry.catalogue import collect_duration, collect_errors, registry

_log = logging.getLogger(__name__)


class Collector(Protocol):
    """A part of the scrape; its name is the `collector` label."""

    name: str

    def collect(self) -> Iterable[Metric]: ...


class Files:
    """Collector of what the processes counted, in the shared directory or, alone, in memory."""

    name = "files"

    def collect(self) -> Iterable[Metric]:
        directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if not directory:
            return list(registry.collect())
        try:
            return list(MultiProcessCollector(None, directory).collect())
        except Exception:
            # One bad file fails the whole collection; leave out that one and count it.
            return list(MultiProcessCollector.merge(_readable_files(Path(directory))))


class Exposition:
    """Renders a scrape of its collectors, in their order."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        self._collectors = tuple(collectors)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the body and its Content-Type for the `Accept` header given."""
        encode, content_type = choose_encoder(accept)
        return encode(_Scrape(self._collectors)), content_type


class _Scrape:
    """One scrape, in the shape that the client library's encoders read."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        seconds: list[tuple[tuple[str, ...], float]] = []
        for collector in self._collectors:
            started = time.perf_counter()
            yield from _guarded(collector)
            seconds.append(((collector.name,), time.perf_counter() - started))
        yield collect_duration.samples(seconds)


def _guarded(collector: Collector) -> Iterable[Metric]:
    try:
        return list(collector.collect())
    except Exception as error:
        collect_errors.child(collector.name).inc()
        _log.warning(
            "scrape left out a part", extra={"collector": collector.name, "why": str(error)}
        )
        return []


def _readable_files(directory: Path) -> list[str]:
    readable = []
    for file in sorted(directory.glob("*.db")):
        try:
            list(MmapedDict.read_all_values_from_file(str(file)))
            readable.append(str(file))
        except FileNotFoundError:
            continue  # a live gauge of a process that ended meanwhile
        except Exception as error:
            collect_errors.child(Files.name).inc()
            _log.warning("scrape left out a file", extra={"file": file.name, "why": str(error)})
    return readable
