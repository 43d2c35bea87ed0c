"""As much of PromQL as it takes to look into the expression of an alert.

Selectors, and the side of a condition that is compared with its threshold. What is not understood
is left out: an expression is whatever somebody wrote into a rule.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.stores.prometheus import Labels, Series

_STRING = r'"(?:\\.|[^"\\])*"'
_SELECTOR = re.compile(
    r"(?P<name>[a-zA-Z_:][\w:]*)\s*"
    rf"\{{(?P<matchers>(?:[^\"}}]|{_STRING})*)\}}"
    r"(?:\s*\[(?P<window>\w+)(?::\w*)?\])?"
)
_MATCHER = re.compile(rf"(?P<label>[a-zA-Z_]\w*)\s*(?P<sign>=~|!~|!=|=)\s*(?P<value>{_STRING})")
_TOKEN = re.compile(
    rf"(?P<string>{_STRING})|(?P<open>[(\[{{])|(?P<close>[)\]}}])"
    r"|(?P<compare>==|!=|>=|<=|>|<)|(?P<word>[a-zA-Z_:][\w:]*)"
)
_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)(?![\w.])")
_JOINS = frozenset({"and", "or", "unless"})
_SUFFIXES = ("_bucket", "_count", "_sum")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
_DEPTH = 3


@dataclass(frozen=True)
class Matcher:
    """A condition on a label; `value` as PromQL quotes it."""

    label: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.sign}{self.value}"

    @property
    def text(self) -> str:
        """What the value says."""
        return re.sub(r"\\(.)", r"\1", self.value[1:-1])


@dataclass(frozen=True)
class Selector:
    """One selector of an expression; `window` empty where it asks for the latest value."""

    name: str
    matchers: tuple[Matcher, ...]
    window: str

    @property
    def family(self) -> str:
        """The metric family: the name without what the series of a histogram add to it."""
        for suffix in _SUFFIXES:
            if self.name.endswith(suffix):
                return self.name.removesuffix(suffix)
        return self.name

    @property
    def seconds(self) -> float:
        """The length of the window; 0 without one."""
        return seconds(self.window)

    def exact(self, label: str) -> str | None:
        """Return the value that it asks for of a label, None where it asks for none or several."""
        return next((m.text for m in self.matchers if m.label == label and m.sign == "="), None)


def selectors(expression: str) -> list[Selector]:
    """Return the selectors of an expression that have matchers, in their order."""
    return [
        Selector(
            found["name"],
            tuple(Matcher(**match.groupdict()) for match in _MATCHER.finditer(found["matchers"])),
            found["window"] or "",
        )
        for found in _SELECTOR.finditer(expression)
    ]


def expanded(expression: str, recorded: Callable[[str, Labels], Sequence[str]]) -> list[Selector]:
    """Return the selectors, each of a recorded series replaced by those that it is recorded from.

    recorded: returns the expressions of a record of this name, by labels that it sets.
    """
    return list(_expanded(expression, recorded, _DEPTH))


def _expanded(
    expression: str, recorded: Callable[[str, Labels], Sequence[str]], depth: int
) -> Iterator[Selector]:
    for found in selectors(expression):
        if ":" not in found.name or depth == 0:
            yield found
            continue
        wanted = {m.label: m.text for m in found.matchers if m.sign == "="}
        for one in recorded(found.name, wanted):
            yield from _expanded(one, recorded, depth - 1)


@dataclass(frozen=True)
class Compared:
    """What the first condition of an expression compares; `upwards`: the more, the worse.

    `equals`: the number that it is where it is wrong, but for 0.
    """

    side: str
    upwards: bool
    equals: float | None = None

    def worst_first(self, series: Sequence[Series]) -> list[Series]:
        """Return the series, the worst before the others.

        Where there is more than nothing, those of 0 are left out: of a state, what it is not.
        """
        if (equals := self.equals) is not None:
            ordered = sorted(series, key=lambda one: abs(one.value - equals))
        else:
            ordered = sorted(series, key=lambda one: one.value, reverse=self.upwards)
        return [one for one in ordered if one.value or not self.upwards] or ordered


def without_threshold(expression: str) -> Compared:
    """Return the left side of the first condition; the whole of what has none."""
    depth = 0
    for token in _TOKEN.finditer(expression):
        if token["open"]:
            depth += 1
        elif token["close"]:
            depth -= 1
        elif depth == 0 and token["compare"]:
            side, sign = expression[: token.start()].strip(), token["compare"]
            number = _NUMBER.match(expression, token.end()) if sign == "==" else None
            if number and float(number[1]):
                return Compared(side, True, float(number[1]))
            return Compared(side, sign in (">", ">=", "!="))
        elif depth == 0 and token["word"] in _JOINS:
            break
    return Compared(expression.strip(), upwards=True)


def seconds(duration: str) -> float:
    """Return the seconds of a duration such as 5m or 1h30m; 0 for none."""
    return float(sum(int(number) * _UNITS[unit] for number, unit in _DURATION.findall(duration)))


def quoted(value: str) -> str:
    """Return a string of PromQL."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def matching(labels: Labels) -> str:
    """Return matchers that ask for exactly these labels."""
    return ",".join(f"{name}={quoted(value)}" for name, value in sorted(labels.items()))
