"""Which format a scrape is answered in: the client library's rules, for what it can write."""

from collections.abc import Mapping

# Without a version its own latest one. The library would raise at a version that is no number, and
# answer to any later one by its number.
_WRITTEN: Mapping[str, frozenset[str]] = {
    "application/openmetrics-text": frozenset({"", "0.0.1", "1.0.0"}),
    "text/plain": frozenset({"", "0.0.4", "1.0.0"}),
}


def understood(accept: str) -> str:
    """Return of an Accept header those parts that name a format which we write."""
    return ",".join(part for part in accept.split(",") if _is_written(part))


def _is_written(part: str) -> bool:
    kind, *parameters = (text.strip() for text in part.split(";"))
    named = (text.partition("=") for text in parameters)
    version = next((value for key, _, value in named if key == "version"), "")
    return version in _WRITTEN.get(kind, frozenset())
