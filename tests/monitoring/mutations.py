"""Changes of an expression that its tests have to notice."""

import re
from collections.abc import Iterator

_THRESHOLD = re.compile(r"(>=|<=|==|!=|>|<) (\d+(?:\.\d+)?)\b")
_MATCHER = re.compile(r'\w+(?:=~|!~|!=|=)"[^"]*"')
_AGGREGATION = re.compile(r"\b(sum|min|max|round)(?: by \(([^)]*)\))? ?\(")


def mutants(expression: str) -> Iterator[tuple[str, str]]:
    """Yield each changed expression behind the name of its change; see `without_matcher` too."""
    for make in (_thresholds, _aggregations, _labels):
        for name, changed in make(expression):
            assert changed != expression, name
            yield name, changed


def _thresholds(expression: str) -> Iterator[tuple[str, str]]:
    """Twice as much; where that is as much, one more and one less."""
    for found in _THRESHOLD.finditer(expression):
        value = float(found[2])
        for other in (value * 2,) if value else (1, -1):
            text = f"{expression[: found.start(2)]}{other:g}{expression[found.end(2) :]}"
            yield f"{found[0]} becomes {other:g}", text


def matchers(expression: str) -> list[str]:
    """Return the matchers of all selectors, each once."""
    return list(dict.fromkeys(_MATCHER.findall(expression)))


def without_matcher(expression: str, matcher: str) -> str:
    """Return the expression with this matcher dropped wherever it stands.

    Not one by one: `and` and `/` drop what the other side does not have, so that a matcher that
    is left out on one side only often changes nothing.
    """
    text = expression.replace(f",{matcher}", "").replace(f"{matcher},", "")
    return text.replace(matcher, "")


def _aggregations(expression: str) -> Iterator[tuple[str, str]]:
    """What is aggregated instead of the aggregation."""
    for found in _AGGREGATION.finditer(expression):
        end = _closing(expression, found.end())
        inner = expression[found.end() : end]
        text = f"{expression[: found.start()]}{inner}{expression[end + 1 :]}"
        yield f"without {found[0]}…) at {found.start()}", text


def _labels(expression: str) -> Iterator[tuple[str, str]]:
    """Each label dropped from each aggregation."""
    for found in _AGGREGATION.finditer(expression):
        names = (found[2] or "").split(", ")
        for name in filter(None, names):
            kept = ", ".join(other for other in names if other != name)
            text = f"{expression[: found.start(2)]}{kept}{expression[found.end(2) :]}"
            yield f"by ({found[2]}) at {found.start()} without {name}", text


def _closing(expression: str, start: int) -> int:
    """Return where the bracket is closed that was opened before `start`."""
    depth = 1
    for index in range(start, len(expression)):
        depth += {"(": 1, ")": -1}.get(expression[index], 0)
        if depth == 0:
            return index
    raise ValueError(f"no closing bracket in {expression}")
