"""When the total of each sample began, by what lies in and beside the files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from prefork_metrics.aggregation.keys import Keys
from prefork_metrics.aggregation.merge_plan import MergePlan
from prefork_metrics.aggregation.source import Source
from prefork_metrics.directory import starts
from prefork_metrics.directory.starts import TOTALS

# The year 10000.
_LATEST = 253_402_300_800.0
Times = Mapping[Path, Mapping[str, float]]
"""Of each file: when series were removed, by the keys of their entries."""


def starts_of(
    plan: MergePlan, sources: Sequence[Source], sides: Sequence[Path], removed: Times, known: Keys
) -> list[float]:
    """Return the start of each sample of the plan, in seconds since 1970; 0: not known, or none."""
    return plan.starts(
        {
            source: _times(source, sides, removed.get(source.path, {}), known)
            for source in sources
            if source.kind in TOTALS
        }
    )


def _times(
    source: Source, sides: Sequence[Path], removed: Mapping[str, float], known: Keys
) -> Sequence[float]:
    times: Sequence[float]
    if source.is_archive:
        times = starts.read(sides, source.kind, len(source.keys))
    else:
        later = {known.parse(key.encode()): at for key, at in removed.items()}
        pairs = zip(source.keys, source.times(), strict=True)
        times = [later.get(key, time) for key, time in pairs]
    # A file that is spoilt may say anything.
    return [time if 0 < time < _LATEST else 0.0 for time in times]
