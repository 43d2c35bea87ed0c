"""What Grafana does with the templates of links, from a file to the address that is opened.

Provisioned files are expanded when Grafana reads them: `$$` stays a `$`, other variables are those
of its environment. What is left is expanded when a link is followed, by its scoped variables. The
values of addresses are encoded as a URI, where the variable names no format of its own.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

Json = dict[str, Any]
Values = Mapping[str, str]
"""What variables stand for, by their whole path: `__field.labels.route`."""

_PROVISIONED = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)((?:\.[^:}]+)?)(?::(\w+))?\}")
_FORMATS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "pipe": str,  # of several values, with | between them; here there is one
    # encodeURIComponent and encodeURI, with what RFC 3986 reserves.
    "percentencode": lambda value: quote(value, safe="-_.~"),
    "uriencode": lambda value: quote(value, safe="-_.~;/?:@&=+$,#"),
}


class NoVariableError(Exception):
    """A template names what is not there: Grafana would leave it as it is written."""


def provisioned(value: Any) -> Any:
    """Return what Grafana reads where a file has this; its environment knows no variable."""
    if isinstance(value, Mapping):
        return {name: provisioned(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [provisioned(inner) for inner in value]
    if not isinstance(value, str):
        return value
    return "$".join(_PROVISIONED.sub("", part) for part in value.split("$$"))


def variables(template: str) -> Iterator[tuple[str, str | None]]:
    """Yield the path and the format of each variable of a template."""
    for plain, name, path, form in _VARIABLE.findall(template):
        yield (plain or f"{name}{path}"), (form or None)


def expand(template: str, values: Values, form: str = "raw") -> str:
    """Return a template with its variables filled in, by this format where they name none.

    Raises: NoVariableError; KeyError for a format that is not known.
    """

    def value(found: re.Match[str]) -> str:
        path = found[1] or f"{found[2]}{found[3]}"
        if path not in values:
            raise NoVariableError(path)
        return _FORMATS[found[4] or form](values[path])

    return _VARIABLE.sub(value, template)


def address(template: str, values: Values) -> str:
    """Return the address that a link leads to."""
    return expand(template, values, "uriencode")


def pane_of(address: str) -> Json:
    """Return the one pane of an address of Explore: data source, queries and range.

    Raises: ValueError.
    """
    parts = urlsplit(address)
    if parts.path != "/explore":
        raise ValueError(f"{address} is none of Explore")
    asked = parse_qs(parts.query, strict_parsing=True)
    if asked.get("schemaVersion") != ["1"]:
        raise ValueError("Explore reads panes of schemaVersion 1")
    (pane,) = json.loads(asked["panes"][0]).values()
    if set(pane) != {"datasource", "queries", "range"} or set(pane["range"]) != {"from", "to"}:
        raise ValueError(f"a pane has {sorted(pane)}")
    return dict(pane)
