"""What exemplars add to the lines of OpenMetrics: the newest of each value, whoever wrote it."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client.utils import floatToGoString

from prefork_metrics import exemplars
from prefork_metrics.aggregation.merge_plan import MergePlan
from prefork_metrics.aggregation.source import Source
from prefork_metrics.directory.exemplar_records import FILES
from prefork_metrics.exemplars import Exemplar, Place

_log = logging.getLogger(__name__)


def exemplar_suffixes(exemplars: Mapping[int, Exemplar]) -> dict[int, str]:
    """Return what follows the value of a sample, by the sample's number."""
    return {number: _text(exemplar) for number, exemplar in exemplars.items()}


def newest_exemplars(
    plan: MergePlan, sources: Iterable[Source], files: Iterable[Path]
) -> dict[int, Exemplar]:
    """Return the newest exemplar of each sample that has one, by the sample's number; of `files`
    as many as can be read."""
    values = {
        (source.path.stem.partition("_")[2], source.kind): source
        for source in sources
        if source.kind in FILES
    }
    newest: dict[int, Exemplar] = {}
    for path in files:
        kind, _, member = path.stem.partition("_")
        if kind == exemplars.KIND:
            of_member = {of: values[member, of] for of in FILES if (member, of) in values}
            for number, exemplar in _numbered(plan, of_member, path):
                if exemplar.follows(newest.get(number)):
                    newest[number] = exemplar
    return newest


def _numbered(
    plan: MergePlan, sources: Mapping[str, Source], path: Path
) -> Iterator[tuple[int, Exemplar]]:
    found: Mapping[Place, Exemplar] = {}
    try:
        found = exemplars.read(path)
    except FileNotFoundError:
        pass  # a process that ends takes the file along
    except OSError as error:
        # It costs no more than exemplars.
        _log.info("exemplars not read", extra={"file": path.name, "why": error.strerror})
    for (kind, position), exemplar in found.items():
        if kind in sources:
            number = plan.exemplar_numbers(sources[kind]).get(position)
            if number is not None:
                yield number, exemplar


def _text(exemplar: Exemplar) -> str:
    value = floatToGoString(exemplar.value)
    labels = ",".join(f'{name}="{_escaped(text)}"' for name, text in exemplar.labels)
    seconds, rest = divmod(exemplar.milliseconds, 1000)
    return f" # {{{labels}}} {value} {seconds}.{rest:03}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
