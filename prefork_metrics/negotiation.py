"""Which format a scrape is answered in: protocol buffers where those are liked best, else by the
client library's rules, for what it can write."""

from collections.abc import Mapping

from prometheus_client.openmetrics.exposition import ALLOWUTF8, DOTS, UNDERSCORES, VALUES

# Without a version its own latest one. The library would raise at a version that is no number, and
# answer to any later one by its number.
_WRITTEN: Mapping[str, frozenset[str]] = {
    "application/openmetrics-text": frozenset({"", "0.0.1", "1.0.0"}),
    "text/plain": frozenset({"", "0.0.4", "1.0.0"}),
}
PROTOBUF = "application/vnd.google.protobuf"
_MESSAGE = {"proto": "io.prometheus.client.MetricFamily", "encoding": "delimited"}
_ESCAPINGS = (ALLOWUTF8, UNDERSCORES, DOTS, VALUES)


def understood(accept: str) -> str:
    """Return of an Accept header those parts that name a text format which we write; what is
    refused (q=0) is none, though the library would write it."""
    return ",".join(part for part in accept.split(",") if _is_written(part) and _weight(part) > 0)


def protobuf_escaping(accept: str) -> str | None:
    """Return how names are to be escaped in protocol buffers, None where those are not wanted: the
    header does not name them, or likes another format better, or as well and names it earlier."""
    best, escaping = 0.0, None
    for part in accept.split(","):
        kind, named = _parsed(part)
        quality = _weight(part)
        if kind == PROTOBUF and _MESSAGE.items() <= named.items() and quality > best:
            asked = named.get("escaping", UNDERSCORES)
            best, escaping = quality, asked if asked in _ESCAPINGS else UNDERSCORES
        elif _is_written(part) and quality > best:
            best, escaping = quality, None
    return escaping


def protobuf_type(escaping: str) -> str:
    """Return the Content-Type of protocol buffers."""
    named = {**_MESSAGE, "escaping": escaping}
    return "; ".join([PROTOBUF, *(f"{name}={value}" for name, value in named.items())])


def _is_written(part: str) -> bool:
    kind, named = _parsed(part)
    return named.get("version", "") in _WRITTEN.get(kind, frozenset())


def _parsed(part: str) -> tuple[str, dict[str, str]]:
    kind, *parameters = (text.strip() for text in part.split(";"))
    named = (text.partition("=") for text in reversed(parameters))
    return kind, {name: value for name, _, value in named}


def _weight(part: str) -> float:
    _, named = _parsed(part)
    try:
        return float(named.get("q", "1"))
    except ValueError:
        return 0.0
