"""A plan's samples with one more for each series of totals: `_created`, when it began."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prefork_metrics.aggregation.merge_plan import MergePlan
from prefork_metrics.directory.starts import TOTALS
from prefork_metrics.outline import Labels, Outline

Sample = tuple[str, Labels]


class WithCreated:
    """In the shape of a plan, as the text is made of one: `outlines` and `signed` as in Order."""

    def __init__(self, plan: MergePlan, starts: Sequence[float]) -> None:
        """`starts`: of each sample of `plan`."""
        self._starts = starts
        self.outlines: list[Outline] = []
        # Of each sample its number in the plan; below 0: the start of that one (-1 is the first).
        self._places: list[int] = []
        before = 0
        for outline in plan.outlines:
            samples = []
            for place, sample in self._extended(outline, before):
                self._places.append(place)
                samples.append(sample)
            self.outlines.append(outline._replace(samples=tuple(samples)))
            before += len(outline.samples)
        self._numbers = {place: number for number, place in enumerate(self._places)}
        self.signed = [self._numbers[number] for number in plan.signed]

    def samples(self, samples: Sequence[Any]) -> list[Any]:
        """Return the values, in order, from those of the plan."""
        return [
            samples[place] if place >= 0 else self._starts[-place - 1] for place in self._places
        ]

    def suffixes(self, suffixes: Mapping[int, str]) -> dict[int, str]:
        """Return by number here what follows the values of samples of the plan."""
        return {self._numbers[number]: text for number, text in suffixes.items()}

    def _extended(self, outline: Outline, before: int) -> Iterator[tuple[int, Sample]]:
        """Yield place and sample; behind the last of each series its start, where it is known."""
        series = [_series(labels) for _, labels in outline.samples]
        for number, sample in enumerate(outline.samples):
            yield before + number, sample
            is_last = series[number : number + 1] != series[number + 1 : number + 2]
            if outline.kind in TOTALS and is_last and self._starts[before + number]:
                yield -(before + number) - 1, (f"{outline.name}_created", series[number])


def _series(labels: Labels) -> Labels:
    return tuple(label for label in labels if label[0] != "le")
