"""What Prometheus says of an alert: the worst series, what they can be told apart by, exemplars."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from time import time

from app.explaining import promql
from app.explaining.kinds import Culprit, Kind, Step
from app.explaining.promql import Matcher, Selector
from app.explaining.table import FAMILIES, PARTS, Asked, Look, Row, name_of
from app.metrics.catalogue import REQUESTS, health_check_up, registry
from app.stores.prometheus import Exemplar, Labels, PrometheusStore, Rule, Series

MOST_SERIES = 10
_LAST_MINUTES = 300.0
_WINDOW = "5m"
# Labels that say whose series these are, and not what is wrong with them.
_WHOSE = ("job", "instance")
_LABELS = {family.name: frozenset(family.labels) for family in registry.families}
_BOUND = "le"
_TARGETS = "up"


class Watched:
    """An alert's expression, and what it leads to; every question is asked once.

    All raise StoreUnavailableError.
    """

    def __init__(
        self, prometheus: PrometheusStore, rules: Sequence[Rule], rule: Rule, labels: Labels
    ) -> None:
        self._prometheus = prometheus
        self._rules = rules
        # What the alert fires for is what there was then.
        self._at = rule.evaluated_at
        self.expression = rule.expression
        self.labels = labels

    @cached_property
    def holding(self) -> list[Series]:
        """The series for which the expression holds now, of this alert only."""
        found = [one for one in self._query(self.expression) if self._is_ours(one)]
        if not found:  # Prometheus says when it evaluated a rule to some milliseconds only
            self._at = None
            found = [one for one in self._query(self.expression) if self._is_ours(one)]
        return promql.without_threshold(self.expression).worst_first(found)

    @cached_property
    def series(self) -> list[Series]:
        """The worst series without the threshold; those for which it holds where there are none."""
        compared = promql.without_threshold(self.expression)
        holding = self.holding
        found = self._query(compared.side) if compared.side else []
        return (compared.worst_first(found) or holding)[:MOST_SERIES]

    @cached_property
    def down(self) -> list[str]:
        """The checks of dependencies that fail now."""
        ours = self._ours()
        found = self._query(f"min by (check) ({health_check_up.name}{{{ours}}}) == 0")
        return sorted(one.labels.get("check", "") for one in found)

    def rows(self) -> Iterator[tuple[Row, Asked]]:
        """Yield what the table has on the alert: by its labels, then by family."""
        for label, row in PARTS.items():
            if label in self.labels:
                yield row, self._asked(Selector("up", (), ""), "")
        own = {one.family for one in promql.selectors(self.expression)}
        for family, selectors in self._by_family.items():
            # Records count targets to know how much of a window was seen: no alert is about that.
            if (row_found := FAMILIES.get(family)) and (family != _TARGETS or family in own):
                yield row_found, self._asked_of(selectors)

    def worst(self, look: Look, asked: Asked) -> list[Step]:
        """Return what the look names, the worst first."""
        found = promql.Compared("", True).worst_first(self._query(look.query(asked)))
        named = [one for one in found if all(one.labels.get(label) for label in look.by)]
        return [
            Step(_culprit(look, one), _because(one, place, len(named)))
            for place, one in enumerate(named)
        ]

    def exemplars(self, labels: Labels, name: str = REQUESTS.duration.name) -> list[Exemplar]:
        """Return exemplars of the histogram with these labels, the latest first."""
        matchers = ",".join(filter(None, (self._ours(), promql.matching(labels))))
        now = time()
        span = max(_LAST_MINUTES, 2 * self.seconds)
        found = self._prometheus.exemplars(f"{name}_bucket{{{matchers}}}", now - span, now + 1)
        return found[::-1]

    @cached_property
    def seconds(self) -> float:
        """The longest window of the expression."""
        return max((one.seconds for one in promql.selectors(self.expression)), default=0.0)

    def failing(self) -> bool:
        """Tell whether it is about statuses of failures."""
        return any(
            matcher.label == "status_code"
            for selectors in self._by_family.values()
            for one in selectors
            for matcher in one.matchers
        )

    @cached_property
    def _by_family(self) -> dict[str, list[Selector]]:
        found: dict[str, list[Selector]] = {}
        for one in promql.expanded(self.expression, self._recorded):
            found.setdefault(one.family, []).append(one)
        return found

    def _recorded(self, name: str, wanted: Labels) -> list[str]:
        return [
            rule.expression
            for rule in self._rules
            if not rule.is_alert
            and rule.name == name
            and all(rule.labels.get(label, text) == text for label, text in wanted.items())
        ]

    def _asked_of(self, selectors: list[Selector]) -> Asked:
        """Return what to ask of a family: by its shortest window, and its narrowest selector."""
        bound = next((str(m) for one in selectors for m in one.matchers if m.label == _BOUND), "")
        windows = [one for one in selectors if one.window] or selectors
        shortest = min(one.seconds for one in windows)
        narrow = max(
            (one for one in windows if one.seconds == shortest),
            key=lambda one: sum(m.label != _BOUND for m in one.matchers),
        )
        return self._asked(narrow, bound)

    def _asked(self, selector: Selector, bound: str) -> Asked:
        own = [m for m in selector.matchers if m.label != _BOUND and m.label not in _WHOSE]
        ours = self._ours()
        return Asked(
            selector.family,
            ours,
            ",".join(filter(None, [ours, *map(str, own), *self._shared(selector.family, own)])),
            selector.window or _WINDOW,
            bound,
        )

    def _query(self, expression: str) -> list[Series]:
        return self._prometheus.query(expression, self._at)

    def _shared(self, family: str, own: Sequence[Matcher]) -> list[str]:
        """Return matchers for the labels that the alert's series share with the family."""
        known = {m.label for m in own if m.sign == "="} | {*_WHOSE}
        shown = self.holding[0].labels if self.holding else {}
        names = sorted(_LABELS.get(family, frozenset()) & set(shown) - known)
        return [f"{name}={promql.quoted(shown[name])}" for name in names]

    def _ours(self) -> str:
        return promql.matching({it: self.labels[it] for it in _WHOSE if it in self.labels})

    def _is_ours(self, series: Series) -> bool:
        """Tell whether the series is that of the alert: its labels are among the alert's."""
        return all(
            self.labels.get(name, value) == value
            for name, value in series.labels.items()
            if not name.startswith("__")
        )


def _culprit(look: Look, one: Series) -> Culprit:
    values = tuple(one.labels[label] for label in look.by)
    return Culprit(look.kind, name_of(look.kind, values))


def _because(one: Series, place: int, number: int) -> str:
    rank = "the worst" if place == 0 else f"place {place + 1}"
    among = f"{rank} of {number}" if number > 1 else "the only one"
    return f"{among} ({one.value:.3g})"


def of_dependency(check: str) -> Step:
    """Return the step to a dependency that is down."""
    return Step(Culprit(Kind.DEPENDENCY, check), f"its check fails ({check})")
