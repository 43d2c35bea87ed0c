"""Explains an alert, within a deadline, to a reader who sees what they may read already."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from app.core import deadline
from app.core.addresses import web_address
from app.core.errors import AlertNotFoundError, StorageError, StoreUnavailableError
from app.domain.alerts.known import Known, meant, of_rules
from app.explaining import evidence
from app.explaining.answer import (
    HIDDEN_SIGNALS,
    AlertAsked,
    CulpritView,
    EnvironmentPart,
    ExemplarPart,
    Explanation,
    LinePart,
    SeriesPart,
    StepView,
    TracePart,
)
from app.explaining.kinds import Culprit, Kind
from app.explaining.readers import Reader
from app.explaining.recorded import Recorded
from app.explaining.search import Found, Search
from app.explaining.traces_of import Traces
from app.explaining.watched import Watched
from app.stores.build import Stores
from app.stores.prometheus import SETTING, Rule

SECONDS = 10.0
"""What an explanation may take in all; what is not there by then is missing in it."""
_NO_RULE = "Prometheus has no rule of that name"
SILENT = "it does not fire now"

Told = Callable[[str], Known | None]
"""Returns the alert that Alertmanager told of, by fingerprint or name; raises StorageError."""


@dataclass(frozen=True)
class _Parts:
    """What was found of one alert, before it is known who reads it."""

    found: Found
    expression: str | None = None
    series: SeriesPart | None = None
    traces: Traces | None = None
    missing: str | None = None


class Explanations:
    """Explains alerts. `recorded` None: there is no database to ask."""

    def __init__(self, stores: Stores, recorded: Recorded | None, told: Told) -> None:
        self._stores = stores
        self._recorded = recorded
        self._told = told

    def explain(self, reader: Reader, reference: str) -> Explanation:
        """Return what stands behind the alert of this name or fingerprint.

        Raises: AlertNotFoundError; StorageError where only the database could know it.
        """
        with deadline.within(SECONDS):
            rules, missing = self._rules()
            alert = self._alert(reference, rules or [], missing)
            parts = self._parts(alert, rules, missing)
            return self._shown(reader, alert, parts)

    def _rules(self) -> tuple[list[Rule] | None, str | None]:
        if self._stores.prometheus is None:
            return None, f"{SETTING} is not set"
        try:
            return self._stores.prometheus.rules(), None
        except StoreUnavailableError as error:
            return None, error.detail

    def _alert(self, reference: str, rules: list[Rule], missing: str | None) -> Known:
        try:
            told, trouble = self._told(reference), None
        except StorageError as error:
            told, trouble = None, error
        if told is not None and told.firing:
            return told
        found = of_rules(rules, reference)
        if found is not None and (found.firing or told is None):
            return found
        if told is not None:
            return told
        if missing is not None:
            missing = f"Alertmanager has told of no such alert, and {missing.removesuffix('.')}."
        names = {rule.name for rule in rules if rule.is_alert}
        raise trouble or AlertNotFoundError(missing or meant(reference, names))

    def _parts(self, alert: Known, rules: list[Rule] | None, missing: str | None) -> _Parts:
        if rules is None or self._stores.prometheus is None:
            return _Parts(Found(reason=missing), missing=missing)
        rule = next((r for r in rules if r.is_alert and r.name == alert.name), None)
        if rule is None:
            return _Parts(Found(reason=_NO_RULE), missing=_NO_RULE)
        watched = Watched(self._stores.prometheus, rules, rule, alert.labels)
        traces = Traces(watched, self._stores.traces)
        if not alert.firing:
            return _Parts(Found(reason=SILENT), rule.expression, missing=SILENT)
        try:
            found = Search(watched, traces, self._recorded).find()
            evidence.look_at(traces, [step.culprit for step in found.steps])
            return _Parts(found, rule.expression, evidence.series(watched), traces)
        except StoreUnavailableError as error:
            return _Parts(Found(reason=error.detail), rule.expression, missing=error.detail)

    def _shown(self, reader: Reader, alert: Known, parts: _Parts) -> Explanation:
        culprit = parts.found.culprit
        series, exemplars, traces, lines = self._signals(reader, parts)
        if parts.traces is None:
            environments = EnvironmentPart(missing=parts.missing)
        else:
            environments = evidence.environments(reader, culprit, parts.traces, lines)
        is_shown = culprit is None or _may_see(reader, alert, culprit, environments)
        return Explanation(
            alert=_asked(alert),
            culprit=_view(culprit) if culprit and is_shown else None,
            culprit_missing=parts.found.reason if is_shown else HIDDEN_SIGNALS,
            steps=_steps(parts.found) if is_shown and reader.sees_signals else [],
            expression=parts.expression,
            series=series,
            exemplars=exemplars,
            traces=traces,
            lines=lines if reader.sees_lines else LinePart(missing=HIDDEN_SIGNALS),
            environments=environments if reader.sees_signals else _visible(environments),
        )

    def _signals(
        self, reader: Reader, parts: _Parts
    ) -> tuple[SeriesPart, ExemplarPart, TracePart, LinePart]:
        if parts.traces is None:
            missing = parts.missing
            told = SeriesPart(missing=missing), ExemplarPart(missing=missing)
            rest = TracePart(missing=missing), LinePart(missing=missing)
            return (*told, *rest) if reader.sees_signals else (*evidence.hidden(), rest[1])
        # Also for those who may not read them: their own environments are found by them.
        lines = evidence.lines(self._stores.lines, parts.traces, datetime.now(UTC))
        if not reader.sees_signals:
            return (*evidence.hidden(), lines)
        return (
            parts.series or SeriesPart(missing=parts.missing),
            evidence.exemplars(parts.traces.exemplars),
            evidence.traces(parts.traces),
            lines,
        )


def _may_see(reader: Reader, alert: Known, culprit: Culprit, environments: EnvironmentPart) -> bool:
    """Tell whether the reader may know the culprit: operators may, others what the alert itself
    says, and their own environment."""
    if reader.sees_signals or culprit.id in alert.labels.values():
        return True
    return culprit.kind is Kind.ENVIRONMENT and any(
        one.id == culprit.id for one in _visible(environments).items
    )


def _visible(found: EnvironmentPart) -> EnvironmentPart:
    """Return those of the environments that the reader may read: of others not even the id."""
    items = [one for one in found.items if one.name is not None]
    if items or not found.items:
        return EnvironmentPart(items=items, missing=found.missing)
    return EnvironmentPart(missing=found.items[0].missing)


def _asked(alert: Known) -> AlertAsked:
    return AlertAsked(
        name=alert.name,
        fingerprint=alert.fingerprint,
        labels=dict(alert.labels),
        summary=alert.annotations.get("summary", ""),
        runbook_url=web_address(alert.annotations.get("runbook_url", "")),
        firing=alert.firing,
        starts_at=alert.starts_at,
    )


def _view(culprit: Culprit) -> CulpritView:
    return CulpritView(kind=culprit.kind, id=culprit.id)


def _steps(found: Found) -> list[StepView]:
    return [StepView(culprit=_view(one.culprit), because=one.because) for one in found.steps]
