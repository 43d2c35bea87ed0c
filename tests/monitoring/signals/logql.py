"""LogQL as far as our links use it: a selector of streams, then filters of labels.

Anything else is refused, so that nothing is in use that nobody has looked at. The grammar itself is
Grafana's own in test_grammar.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>"(?:[^"\\]|\\.)*")
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<mark>=~|!~|!=|>=|<=|\||[{},=<>])
    )""",
    re.VERBOSE,
)
_OF_STREAMS = ("=", "!=", "=~", "!~")
_OF_NUMBERS = (">", ">=", "<", "<=")


class Filter(NamedTuple):
    """A label, an operator, and a text or a number."""

    label: str
    operator: str
    value: str | float


@dataclass(frozen=True)
class LogQL:
    """A query for lines."""

    streams: tuple[Filter, ...]
    filters: tuple[Filter, ...]

    @property
    def all(self) -> tuple[Filter, ...]:
        """Both kinds of filters."""
        return (*self.streams, *self.filters)


def parse(query: str) -> LogQL:
    """Return what a query says. Raises: ValueError."""
    tokens = _tokens(query)
    _expect(tokens, "{")
    streams = [_filter(tokens, _OF_STREAMS)]
    while tokens and tokens[0][1] == ",":
        tokens.pop(0)
        streams.append(_filter(tokens, _OF_STREAMS))
    _expect(tokens, "}")
    filters = []
    while tokens:
        _expect(tokens, "|")
        filters.append(_filter(tokens, (*_OF_STREAMS, *_OF_NUMBERS)))
    if not any(_names_some(one) for one in streams):
        raise ValueError("Loki wants a matcher of streams that does not match the empty text")
    return LogQL(tuple(streams), tuple(filters))


def _tokens(query: str) -> list[tuple[str, str]]:
    found, end = [], 0
    while query[end:].strip():
        token = _TOKEN.match(query, end)
        if token is None or token.lastgroup is None:
            raise ValueError(f"not understood: {query[end:]!r}")
        found.append((token.lastgroup, token[token.lastgroup]))
        end = token.end()
    return found


def _expect(tokens: list[tuple[str, str]], mark: str) -> None:
    if not tokens or tokens.pop(0)[1] != mark:
        raise ValueError(f"{mark} is missing")


def _filter(tokens: list[tuple[str, str]], operators: tuple[str, ...]) -> Filter:
    if len(tokens) < 3:
        raise ValueError("a filter is a label, an operator and a value")
    (kind, label), (_, operator), (sort, value) = tokens[:3]
    del tokens[:3]
    if kind != "name" or operator not in operators:
        raise ValueError(f"{label} {operator} is no filter here")
    if operator in _OF_NUMBERS:
        if sort != "number":
            raise ValueError(f"{operator} compares numbers, not {value}")
        return Filter(label, operator, float(value))
    if sort != "text":
        raise ValueError(f"{operator} compares texts, not {value}")
    text = re.sub(r"\\(.)", r"\1", value[1:-1])
    if operator in ("=~", "!~"):
        re.compile(text)
    return Filter(label, operator, text)


def _names_some(one: Filter) -> bool:
    """Tell whether a matcher of streams leaves out those without the label."""
    text = str(one.value)
    if one.operator == "=":
        return text != ""
    return one.operator == "=~" and re.fullmatch(text, "") is None


FIELDS = {"service_name": "service.name"}
"""Loki's names for what VictoriaLogs calls otherwise; Loki makes `_` of dots."""


def to_logsql(query: LogQL) -> str:
    """Return the same question for VictoriaLogs."""
    return " ".join(_condition(one) for one in query.all)


def _condition(one: Filter) -> str:
    field = f'"{FIELDS.get(one.label, one.label)}"'
    if isinstance(one.value, float):
        return f"{field}:{one.operator}{one.value:g}"
    quoted = one.value.replace("\\", "\\\\").replace('"', '\\"')
    return {
        "=": f'{field}:="{quoted}"',
        "!=": f'-{field}:="{quoted}"',
        "=~": f'{field}:~"^(?:{quoted})$"',
        "!~": f'-{field}:~"^(?:{quoted})$"',
    }[one.operator]
