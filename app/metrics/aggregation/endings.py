"""What exemplars add to the lines of OpenMetrics: the newest of each bucket, whoever wrote it."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client.utils import floatToGoString

from app.metrics import exemplars
from app.metrics.aggregation.layout import Layout
from app.metrics.aggregation.source import Source
from app.metrics.exemplars import Exemplar

_log = logging.getLogger(__name__)


def endings(layout: Layout, sources: Iterable[Source], files: Iterable[Path]) -> dict[int, str]:
    """Return what follows the value of a sample, by the sample's number; of `files` as many as
    can be read."""
    histograms = {
        source.path.stem.partition("_")[2]: source
        for source in sources
        if source.kind == "histogram"
    }
    newest: dict[int, Exemplar] = {}
    for path in files:
        kind, _, member = path.stem.partition("_")
        if kind == exemplars.KIND and member in histograms:
            for number, exemplar in _numbered(layout, histograms[member], path):
                if exemplar.follows(newest.get(number)):
                    newest[number] = exemplar
    return {number: _text(exemplar) for number, exemplar in newest.items()}


def _numbered(layout: Layout, source: Source, path: Path) -> Iterator[tuple[int, Exemplar]]:
    found: Mapping[int, Exemplar] = {}
    try:
        found = exemplars.read(path)
    except FileNotFoundError:
        pass  # a process that ends takes the file along
    except OSError as error:
        # It costs no more than exemplars.
        _log.info("exemplars not read", extra={"file": path.name, "why": error.strerror})
    if found:
        numbers = layout.bucket_numbers(source)
        for position, exemplar in found.items():
            if position in numbers:
                yield numbers[position], exemplar


def _text(exemplar: Exemplar) -> str:
    value = floatToGoString(exemplar.value)
    return f' # {{{exemplar.label}="{exemplar.id}"}} {value} {exemplar.time:.3f}'
