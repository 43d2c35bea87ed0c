"""The aggregator: files in, text out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from prometheus_client.openmetrics.exposition import UNDERSCORES

from prefork_metrics.aggregation.created import WithCreated
from prefork_metrics.aggregation.exemplar_suffixes import exemplar_suffixes, newest_exemplars
from prefork_metrics.aggregation.keys import BadFileError, Keys
from prefork_metrics.aggregation.merge_plan import MergePlan
from prefork_metrics.aggregation.merge_steps import Slots
from prefork_metrics.aggregation.message_cache import MessageCache
from prefork_metrics.aggregation.natives import natives
from prefork_metrics.aggregation.source import Source
from prefork_metrics.aggregation.starts import Times, starts_of
from prefork_metrics.aggregation.text_cache import Plan, TextCache
from prefork_metrics.directory.removed import Before, Natives

_Read = list[tuple[Source, tuple[float, ...]]]
_Errors = list[tuple[Path, str]]


@dataclass(frozen=True)
class Rendered:
    """A scrape's text. Other families may be put between `families` and `end`.

    Attributes: families; end (`# EOF` in OpenMetrics, else empty); errors (each file that was left
    out, and why; the message `empty` can also mean that the file was being created just then).
    """

    families: bytes
    end: bytes
    errors: _Errors

    @property
    def body(self) -> bytes:
        return self.families + self.end


@dataclass(frozen=True)
class Beside:
    """What a directory of this library holds beside the files of the client library.

    Attributes: archive (those of the files whose timestamps are rests, see directory.merging);
    sides (files of exemplars and of starts among them); removed (of each file what is not shown,
    see directory.removed); removed_at (when that was, by key); removed_natives (of each member, by
    name, the same of native buckets).
    """

    archive: Collection[Path] = ()
    sides: Sequence[Path] = ()
    removed: Mapping[Path, Before] = field(default_factory=dict)
    removed_at: Times = field(default_factory=dict)
    removed_natives: Mapping[str, Natives] = field(default_factory=dict)


class Aggregator:
    """Renders the files of many processes; keep it for the life of the process.

    It holds each key once, some 16 bytes per entry of each file, and the text of each format used.
    Attributes: plans (how many were worked out), keys (`keys.parsed`: how many were parsed).
    """

    def __init__(self, names: Mapping[Path, str] | None = None) -> None:
        """Begin; `names` are those of files whose paths do not say what they are called."""
        self._names = names or {}
        self.keys = Keys()
        self.plans = 0
        self._lock = Lock()
        self._buffer = bytearray()
        self._sources: dict[Path, Source] = {}
        self._plan = MergePlan(())
        self._planned: list[tuple[Source, int]] = []
        self._exact = False
        self._starts: list[float] | None = None
        self._created: WithCreated | None = None
        self._texts: dict[tuple[bool, str, bool], TextCache] = {}
        self._messages: dict[str, MessageCache] = {}

    def render(
        self,
        files: Sequence[Path],
        openmetrics: bool,
        escaping: str = UNDERSCORES,
        beside: Beside | None = None,
        created: bool = False,
    ) -> Rendered:
        """Return what the client's collector and encoder would say of `files`, in a stable order.

        files: in an order that stays (sorted, say): a new one costs a new plan, and in it the
        floats are added. escaping: one of the client's schemes, as negotiated.
        beside: given for a directory of ours; then fractions are added exactly, which differs from
        the client's collector in the last digits, and OpenMetrics has exemplars.
        created: totals have a `_created` sample, where it is known when they began.
        A file that cannot be used is left out and told in the result; nothing is raised for it.
        """
        with self._lock:
            sources, samples, errors = self._sampled(files, beside)
            after: Mapping[int, str] = {}
            if openmetrics and beside:
                after = exemplar_suffixes(newest_exemplars(self._plan, sources, beside.sides))
            plan: Plan = self._plan
            if created:
                plan = extended = self._with_created(sources, beside or Beside())
                samples, after = extended.samples(samples), extended.suffixes(after)
            text = self._texts.get((openmetrics, escaping, created))
            if text is None:
                text = TextCache(openmetrics, escaping)
                self._texts[openmetrics, escaping, created] = text
            return Rendered(text.render(plan, samples, after), text.end, errors)

    def messages(self, files: Sequence[Path], escaping: str, beside: Beside) -> Rendered:
        """Return the same as protocol buffers, with exemplars, native buckets, and starts where
        they are known."""
        with self._lock:
            sources, samples, errors = self._sampled(files, beside)
            exemplars = newest_exemplars(self._plan, sources, beside.sides)
            starts = self._starts_of(sources, beside)
            messages = self._messages.setdefault(escaping, MessageCache(escaping))
            # Last: a process counts in these first, so that there are never fewer here.
            counted = natives(beside.sides, beside.removed_natives)
            found = messages.render(self._plan, samples, starts, exemplars, counted)
            return Rendered(found, b"", errors)

    def _sampled(
        self, files: Sequence[Path], beside: Beside | None
    ) -> tuple[list[Source], Slots, _Errors]:
        read, errors = self._read(files, beside or Beside())
        sources = [source for source, _ in read]
        self._replan(sources, exact=beside is not None)
        return sources, self._plan.samples([values for _, values in read]), errors

    def _starts_of(self, sources: list[Source], beside: Beside) -> list[float]:
        """Return when each sample of the plan began; for as long as the plan holds, that stays."""
        if self._starts is None:
            self._starts = starts_of(
                self._plan, sources, beside.sides, beside.removed_at, self.keys
            )
        return self._starts

    def _with_created(self, sources: list[Source], beside: Beside) -> WithCreated:
        if self._created is None:
            self._created = WithCreated(self._plan, self._starts_of(sources, beside))
        return self._created

    def _read(self, files: Sequence[Path], beside: Beside) -> tuple[_Read, _Errors]:
        read: _Read = []
        errors: _Errors = []
        before, self._sources = self._sources, {}
        for path in files:
            try:
                source = before.get(path) or Source(
                    path, self.keys, path in beside.archive, self._names.get(path)
                )
                source.leave_out(beside.removed.get(path))
                read.append((source, source.read(self._buffer)))
                self._sources[path] = source
            except BadFileError as error:
                errors.append((path, str(error)))
            except FileNotFoundError:
                # A process that ends in good order deletes its live gauges: no error.
                if not path.name.startswith("gauge_live"):
                    errors.append((path, "vanished"))
            except OSError as error:
                errors.append((path, error.strerror or type(error).__name__))
        return read, errors

    def _replan(self, sources: list[Source], exact: bool) -> None:
        wanted = [(source, source.version) for source in sources]
        if wanted == self._planned and exact == self._exact:
            return
        if {source for source, _ in self._planned} - set(sources):
            self.keys.keep(key for source in sources for key in source.all_keys)
        self._plan = MergePlan(sources, exact)
        self._starts = self._created = None
        self._exact = exact
        self._planned = wanted
        self.plans += 1
