"""Which format a scrape is answered in: the one that its Accept header likes best (RFC 9110).

Protocol buffers are for whoever names them. Of the text formats one that is not named is liked as
much as the most specific range that covers it, such as `*/*`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client.openmetrics.exposition import ALLOWUTF8, DOTS, UNDERSCORES, VALUES

_PLAIN, _OPENMETRICS = "text/plain", "application/openmetrics-text"
# Without a version its own latest one. The library would raise at a version that is no number, and
# answer to any later one by its number.
_WRITTEN: Mapping[str, frozenset[str]] = {
    _PLAIN: frozenset({"", "0.0.4", "1.0.0"}),
    _OPENMETRICS: frozenset({"", "1.0.0"}),
}
PROTOBUF = "application/vnd.google.protobuf"
_MESSAGE = {"proto": "io.prometheus.client.MetricFamily", "encoding": "delimited"}
_ESCAPINGS = (ALLOWUTF8, UNDERSCORES, DOTS, VALUES)


class _Range(NamedTuple):
    """A part of the header; `text` is what the client library understands of it."""

    kind: str
    named: Mapping[str, str]
    text: str

    @property
    def weight(self) -> float:
        """How much it is liked, from 0 (not at all, as what says it in no number) to 1."""
        try:
            weight = float(self.named.get("q", "1"))
        except ValueError:
            return 0.0
        return weight if 0.0 < weight <= 1.0 else 0.0

    @property
    def is_protobuf(self) -> bool:
        return self.kind == PROTOBUF and _MESSAGE.items() <= self.named.items()

    @property
    def is_text(self) -> bool:
        return self.named.get("version", "") in _WRITTEN.get(self.kind, frozenset())


def understood(accept: str) -> str:
    """Return what the client library is to choose the text format by: of an Accept header the part
    that is liked best of those that we write, empty where there is none."""
    best = _best(accept, lambda one: one.is_text)
    return "" if best is None else best.text


def protobuf_escaping(accept: str) -> str | None:
    """Return how names are to be escaped in protocol buffers, None where those are not wanted: the
    header does not name them, or likes another format better, or as well and names it earlier."""
    best = _best(accept, lambda one: one.is_protobuf or one.is_text)
    if best is None or not best.is_protobuf:
        return None
    asked = best.named.get("escaping", UNDERSCORES)
    return asked if asked in _ESCAPINGS else UNDERSCORES


def protobuf_type(escaping: str) -> str:
    """Return the Content-Type of protocol buffers."""
    named = {**_MESSAGE, "escaping": escaping}
    return "; ".join([PROTOBUF, *(f"{name}={value}" for name, value in named.items())])


def _best(accept: str, suits: Callable[[_Range], bool]) -> _Range | None:
    """Return what is liked best, the first of several; None where nothing is liked."""
    found = [one for one in _offered([_parsed(part) for part in accept.split(",")]) if suits(one)]
    best = max(found, key=lambda one: one.weight, default=None)
    return best if best is not None and best.weight > 0 else None


def _offered(ranges: list[_Range]) -> Iterator[_Range]:
    """Yield the ranges, in their order, and in the place of one of several formats the text formats
    that it stands for: those that no range says more of."""
    named = {one.kind for one in ranges if one.is_text}
    # Once: a header of thousands of ranges is anybody's to send.
    covering = {kind: _of(kind, ranges) for kind in _WRITTEN if kind not in named}
    for one in ranges:
        covered = [kind for kind, covers in covering.items() if covers is one]
        yield from (_Range(kind, one.named, kind) for kind in covered)
        if not covered:
            yield one


def _of(kind: str, ranges: list[_Range]) -> _Range | None:
    """Return the range of several formats that says most of this one."""
    for wanted in (f"{kind.partition('/')[0]}/*", "*/*"):
        for one in ranges:
            if one.kind == wanted:
                return one
    return None


def _parsed(part: str) -> _Range:
    kind, *parameters = (text.strip() for text in part.split(";"))
    # Of a name that stands there twice the first counts, as for the library.
    named = (text.partition("=") for text in reversed(parameters))
    text = ";".join([kind.lower(), *parameters])
    return _Range(kind.lower(), {name: value for name, _, value in named}, text)
