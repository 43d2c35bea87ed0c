"""The text of the scrape, in which only the values that changed are written anew.

The client library's own encoder writes the lines, once per plan, with each sample's number for a
value: so escaping, HELP and TYPE are its business in every format, and what precedes the number
is the line's beginning for good.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import compress, count
from operator import ne
from typing import Any, Protocol

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from prefork_metrics.outline import Outline

# A line: what precedes the value, and the number of the sample in its family; None for a comment.
Line = tuple[str, int | None]


Encode = Callable[[Any], bytes]


class Metrics:
    """As much of a registry as an encoder asks for."""

    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class Plan(Protocol):
    """Which samples there are, and whose values can be -0.0."""

    outlines: list[Outline]
    signed: list[int]


class TextCache:
    """The text in one format. Attributes: end (what closes the text: `# EOF` in OpenMetrics)."""

    def __init__(self, openmetrics: bool, escaping: str) -> None:
        encoder = generate_openmetrics if openmetrics else generate_latest
        self._encode: Encode = partial(encoder, escaping=escaping)
        self.end = self._encode(Metrics())
        self._plan: Plan | None = None
        self._encoded: dict[str, tuple[Outline, list[Line]]] = {}
        # By sample: the value in the text, the line, and what precedes the value in it.
        self._written: list[Any] = []
        self._suffixes: Mapping[int, str] = {}
        self._places: list[int] = []
        self._starts: list[str] = []
        self._lines: list[str] = []

    def render(self, plan: Plan, samples: list[Any], suffixes: Mapping[int, str]) -> bytes:
        """Return the text with these values, without the `end`.

        suffixes: what follows the value on the lines of some samples (exemplars).
        """
        if plan is not self._plan:
            self._replan(plan)
        changed = list(compress(count(), map(ne, samples, self._written)))
        # 0.0 == -0.0, so among those that can be either, a change of sign goes unseen.
        changed += [number for number in plan.signed if samples[number] == 0.0]
        changed += _differing(suffixes, self._suffixes)
        lines, places, starts = self._lines, self._places, self._starts
        for number in changed:
            value = samples[number]
            if value is None:
                lines[places[number]] = ""
                continue
            # Most numbers need none of the care that the client library takes.
            text = repr(value) if 0.0 <= value < 1e6 else floatToGoString(value)
            lines[places[number]] = f"{starts[number]}{text}{suffixes.get(number, '')}\n"
        self._written, self._suffixes = samples, suffixes
        return "".join(lines).encode()

    def _replan(self, plan: Plan) -> None:
        self._lines = []
        number_of_samples = sum(len(outline.samples) for outline in plan.outlines)
        self._places = [0] * number_of_samples
        self._starts = [""] * number_of_samples
        self._written = [None] * number_of_samples
        self._suffixes = {}
        before = 0
        for outline in plan.outlines:
            for start, number in self._lines_of(outline):
                if number is not None:
                    self._places[before + number] = len(self._lines)
                    self._starts[before + number] = start
                self._lines.append(start if number is None else "")
            before += len(outline.samples)
        current = {outline.name for outline in plan.outlines}
        self._encoded = {name: self._encoded[name] for name in current}
        self._plan = plan

    def _lines_of(self, outline: Outline) -> list[Line]:
        known = self._encoded.get(outline.name)
        if known is None or known[0] != outline:
            known = self._encoded[outline.name] = (outline, list(self._encode_lines(outline)))
        return known[1]

    def _encode_lines(self, outline: Outline) -> Iterator[Line]:
        metric = Metric(outline.name, outline.help, outline.kind)
        metric.samples = [
            Sample(name, dict(labels), float(number))
            for number, (name, labels) in enumerate(outline.samples)
        ]
        text = self._encode(Metrics(metric)).removesuffix(self.end).decode()
        for line in text.split("\n")[:-1]:
            if line.startswith("#"):
                yield line + "\n", None
            else:
                start, blank, number = line.rpartition(" ")
                yield start + blank, int(float(number))


def _differing(new: Mapping[int, str], old: Mapping[int, str]) -> list[int]:
    return [number for number in new.keys() | old.keys() if new.get(number) != old.get(number)]
