"""The text of the scrape, in which only the values that changed are written anew.

The client library's own encoder writes the lines, once per layout, with each sample's number for a
value: so escaping, HELP and TYPE are its business in every format, and what precedes the number
is the line's beginning for good.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from app.telemetry.aggregation.families import Outline
from app.telemetry.aggregation.layout import Layout

# A line: what precedes the value, and the number of the sample in its family; None for a comment.
Line = tuple[bytes, int | None]


Encode = Callable[[Any], bytes]


class Metrics:
    """As much of a registry as an encoder asks for."""

    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class Page:
    """The text in one format. Attributes: end (what closes the text: `# EOF` in OpenMetrics)."""

    def __init__(self, openmetrics: bool, escaping: str) -> None:
        encoder = generate_openmetrics if openmetrics else generate_latest
        self._encode: Encode = partial(encoder, escaping=escaping)
        self.end = self._encode(Metrics())
        self._layout: Layout | None = None
        self._encoded: dict[str, tuple[Outline, list[Line]]] = {}
        # By sample: the value in the text, the line, and what precedes the value in it.
        self._written: list[Any] = []
        self._places: list[int] = []
        self._starts: list[bytes] = []
        self._lines: list[bytes] = []

    def render(self, layout: Layout, samples: list[Any]) -> bytes:
        """Return the text with these values, without the `end`."""
        if layout is not self._layout:
            self._lay_out(layout)
        changed = [
            number
            for number, (new, old) in enumerate(zip(samples, self._written, strict=True))
            if new != old
        ]
        # 0.0 == -0.0, so among those that can be either, a change of sign goes unseen.
        changed += [number for number in layout.signed if samples[number] == 0.0]
        for number in changed:
            value = samples[number]
            self._lines[self._places[number]] = (
                b""
                if value is None
                else b"%b%b\n" % (self._starts[number], floatToGoString(value).encode())
            )
        self._written = samples
        return b"".join(self._lines)

    def _lay_out(self, layout: Layout) -> None:
        self._lines = []
        count = sum(len(outline.samples) for outline in layout.outlines)
        self._places = [0] * count
        self._starts = [b""] * count
        self._written = [None] * count
        before = 0
        for outline in layout.outlines:
            for start, number in self._lines_of(outline):
                if number is not None:
                    self._places[before + number] = len(self._lines)
                    self._starts[before + number] = start
                self._lines.append(start if number is None else b"")
            before += len(outline.samples)
        current = {outline.name for outline in layout.outlines}
        self._encoded = {name: self._encoded[name] for name in current}
        self._layout = layout

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
        text = self._encode(Metrics(metric)).removesuffix(self.end)
        for line in text.split(b"\n")[:-1]:
            if line.startswith(b"#"):
                yield line + b"\n", None
            else:
                start, blank, number = line.rpartition(b" ")
                yield start + blank, int(float(number))
