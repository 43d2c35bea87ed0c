"""Files as the client library writes them, and what its own collector says of them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.exposition import generate_latest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

NOTHING: Mapping[str, str] = {}


class _Merged:
    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def collect(self) -> Any:
        return MultiProcessCollector.merge([str(file) for file in self._files])


def stock(files: Sequence[Path], openmetrics: bool = False, escaping: str = "underscores") -> bytes:
    """Return the text of the client library's collector and encoder."""
    registry: Any = _Merged(files)
    return (generate_openmetrics if openmetrics else generate_latest)(registry, escaping)


def key(family: str, name: str, labels: Mapping[str, str] = NOTHING, help: str = "Help.") -> str:
    return mmap_key(family, name, list(labels), list(labels.values()), help)


class Writer:
    """A process's file, open; `with` closes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = MmapedDict(str(path))

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def set(self, key: str, value: float, timestamp: float = 0.0) -> None:
        self._file.write_value(key, value, timestamp)


def write(path: Path, entries: Iterable[tuple[str, float, float]]) -> Path:
    with Writer(path) as file:
        for text, value, timestamp in entries:
            file.set(text, value, timestamp)
    return path


def counter(path: Path, value: float = 1.0, route: str = "/") -> Path:
    """Write a counter's file with one entry."""
    return write(path, [(key("c", "c_total", {"route": route}), value, 0.0)])
