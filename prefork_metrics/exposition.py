"""The scrape: every collector's part, or what is left when one cannot be read.

What the processes counted is rendered from the shared directory by the aggregator; the other parts
are few families, made by the client library's encoders. Content negotiation is the client
library's too: the text format, or OpenMetrics by `Accept`; protocol buffers are written here.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics.exposition import UNDERSCORES

from prefork_metrics.absorb_dead import absorb_dead
from prefork_metrics.aggregation import Aggregator, Beside, Support, client_support
from prefork_metrics.directory import Snapshot, snapshot
from prefork_metrics.directory.states import newest
from prefork_metrics.family import Family
from prefork_metrics.negotiation import protobuf_escaping, protobuf_type, understood
from prefork_metrics.protobuf import metrics, wire
from prefork_metrics.registry import Registry
from prefork_metrics.states import families
from prefork_metrics.visibility import Visibility

OPENMETRICS = "application/openmetrics-text"
_END = b"# EOF\n"
_FORMAT = "format"
_EMPTY = "empty"  # a file that is being made at this moment looks like that
_log = logging.getLogger(__name__)
Told = TypeVar("Told")


class Collector(Protocol):
    """A part of the scrape; its name is the `collector` label."""

    name: str

    def collect(self) -> Iterable[Metric]: ...


class Encoding:
    """What was negotiated: how to write families, and what to say of it.

    Attributes: created (totals have a `_created` series in text), content_type, protobuf,
    openmetrics, escaping.
    """

    def __init__(self, accept: str, created: bool = False, protobuf: bool = True) -> None:
        """`protobuf`: whether it may be protocol buffers, for whoever asks for them."""
        self.created = created
        wanted = protobuf_escaping(accept) if protobuf else None
        self.protobuf = wanted is not None
        self.openmetrics = False
        if wanted is not None:
            self.escaping: str = wanted
            self.content_type = protobuf_type(wanted)
            return
        self._encode, self.content_type = choose_encoder(understood(accept))
        self.openmetrics = self.content_type.startswith(OPENMETRICS)
        self.escaping = getattr(self._encode, "keywords", {}).get("escaping", UNDERSCORES)

    def encoded(self, families: Iterable[Metric]) -> bytes:
        """Return the families, without OpenMetrics' end mark."""
        if self.protobuf:
            return metrics.encoded(families, self.escaping)
        return self._encode(_Families(families)).removesuffix(_END)

    def beginning(self, family: str) -> bytes:
        """Return what the family of that name begins with."""
        if self.protobuf:
            return wire.text(1, family) + b"\x12"
        return b"# TYPE " + family.removesuffix("_total").encode()


class Files:
    """What the processes counted: in the shared directory or, where there is none, in memory."""

    name = "files"

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._families = registry.scrape
        self._aggregator = None if client_support() is Support.UNKNOWN else Aggregator()
        self._left_out: set[tuple[Path, str]] = set()

    def render(self, encoding: Encoding, visibility: Visibility) -> bytes:
        """Return the text of all families. Raises: MetricsDirectoryBusyError, OSError."""
        directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if not directory:
            return encoding.encoded(self._registry.collect())
        with visibility.looking(Path(directory)):
            current, text = self._of_directory(Path(directory), encoding)
            visibility.saw(current)
            return text

    def _of_directory(self, directory: Path, encoding: Encoding) -> tuple[Snapshot, bytes]:
        with snapshot(directory) as current:
            if not current.dead:
                return current, self._text(current, encoding)
        # Somebody died and nobody has noticed yet: what it counted has a place in the archive.
        absorb_dead(self._registry, directory, wait=0)  # not at the cost of waiting
        with snapshot(directory) as current:
            return current, self._text(current, encoding)

    def _text(self, current: Snapshot, encoding: Encoding) -> bytes:
        text = self._read(current, encoding)
        states = [
            (("live",), float(current.live_files)),
            (("dead",), float(len(current.files) - current.live_files)),
        ]
        return text + encoding.encoded([self._families.files.samples(states)])

    def _read(self, current: Snapshot, encoding: Encoding) -> bytes:
        files = sorted(current.files)
        if self._aggregator is None:
            self._families.collect_errors.child(_FORMAT).inc()
            return encoding.encoded(MultiProcessCollector.merge([str(file) for file in files]))
        beside = _beside(current)
        if encoding.protobuf:
            rendered = self._aggregator.messages(files, encoding.escaping, beside)
        else:
            rendered = self._aggregator.render(
                files, encoding.openmetrics, encoding.escaping, beside, encoding.created
            )
        self._report({(file, why) for file, why in rendered.errors if why != _EMPTY})
        states = newest(current.sides, current.removed.states)
        return rendered.families + (encoding.encoded(families(states.values())) if states else b"")

    def _report(self, left_out: set[tuple[Path, str]]) -> None:
        """Count each file that is left out at each scrape, and log it at the first."""
        if left_out:
            self._families.collect_errors.child(self.name).inc(len(left_out))
        for file, why in sorted(left_out - self._left_out):
            _log.warning("scrape left out a file", extra={"file": file.name, "why": why})
        self._left_out = left_out


def _beside(current: Snapshot) -> Beside:
    """Return what a directory has more than the client library's."""
    removed = current.removed
    return Beside(
        frozenset(current.archive),
        current.sides,
        _by_file(current, removed.members),
        _by_file(current, removed.times),
        removed.natives,
    )


def _by_file(current: Snapshot, of_members: Mapping[str, Told]) -> dict[Path, Told]:
    return {
        file: of_members[member]
        for file in current.files
        if (member := file.stem.rpartition("_")[2]) in of_members
    }


class Exposition:
    """Renders a scrape of its collectors, in their order, and of the files.

    `always`: families of the registry which no scrape may be without; where the files do not have
    one, this process's own values of it stand for it.
    """

    def __init__(
        self,
        registry: Registry,
        collectors: Iterable[Collector] = (),
        always: Iterable[Family[Any]] = (),
    ) -> None:
        self._registry = registry
        self._families = registry.scrape
        self._collectors = tuple(collectors)
        self._files = Files(registry)
        self._always = [family.name for family in (self._families.collect_errors, *always)]
        self._failing: set[str] = set()

    def render(self, accept: str, created: bool = False) -> tuple[bytes, str]:
        """Return the body and its Content-Type for the `Accept` header given.

        created: each total of the files has one more series, `_created`: when it began.
        """
        encoding = Encoding(accept, created)
        # The files come last, so that the failure of another part shows in the same scrape.
        parts: list[tuple[str, Callable[[], bytes]]] = [
            (collector.name, lambda part=collector: encoding.encoded(part.collect()))  # type: ignore[misc]
            for collector in self._collectors
        ]
        visibility = Visibility(self._registry)
        parts.append((self._files.name, lambda: self._files.render(encoding, visibility)))
        body, seconds = [], []
        for name, render in parts:
            started = time.perf_counter()
            body.append(self._guarded(name, render))
            seconds.append(((name,), time.perf_counter() - started))
        # What no scrape may be without, of this process alone where the files do not have it. No
        # other family: one process's counts as the total look like a reset.
        missing = [name for name in self._always if encoding.beginning(name) not in body[-1]]
        if missing:
            body.append(
                encoding.encoded(self._registry.client.restricted_registry(missing).collect())
            )
        body.append(encoding.encoded(visibility.families()))
        body.append(encoding.encoded([self._families.collect_duration.samples(seconds)]))
        if encoding.openmetrics:
            body.append(_END)
        return b"".join(body), encoding.content_type

    def _guarded(self, name: str, render: Callable[[], bytes]) -> bytes:
        """Return what a part renders. A failure is counted, and logged when it begins."""
        try:
            text = render()
        except Exception as error:
            self._families.collect_errors.child(name).inc()
            if name not in self._failing:
                self._failing.add(name)
                _log.warning("scrape left out a part", extra={"collector": name, "why": str(error)})
            return b""
        if name in self._failing:
            self._failing.discard(name)
            _log.info("scrape shows the part again", extra={"collector": name})
        return text


class _Families:
    """Families in the shape that the client library's encoders read."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
