"""Where it is read which alerts fire: what Alertmanager told, or else what Prometheus says.

Where the settings have a token for Alertmanager, alerts are those that it told (see `service`);
else Prometheus, where one is set, is asked for those of its alerts that are about this service.
Whoever lists, shows or silences alerts does it by this, so that all know of the same ones.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial

from app.core.errors import AlertNotFoundError, StoreNotSetError
from app.domain.alerts.heartbeat import WATCHDOG
from app.domain.alerts.known import NAME, Known, fingerprint, meant, of_kept, of_rules
from app.domain.alerts.service import Alerts
from app.domain.authorization import Action, Identity, may_in
from app.domain.paging import Page
from app.storage import Alert
from app.stores.prometheus import JOB, SETTING, Firing, PrometheusStore, Rule
from app.stores.shared import SharedQuestion

NEITHER = (
    f"Neither VIBEBOX_ALERTS_TOKEN (Alertmanager tells its alerts) nor {SETTING} (Prometheus is "
    "asked) is set."
)
_HEARTBEAT = (
    f"{WATCHDOG} always fires, as the heartbeat of alerting: silenced, it would look as if no "
    "alert arrived. VIBEBOX_ALERTS_HEARTBEAT=0 expects none."
)
_OURS = "vibebox"
"""What the expression of each rule of ours names: our series, or our job."""
_PLANNED = (
    f"To silence one that does not fire, as for planned maintenance, set {SETTING}: the names of "
    "its rules are known then."
)


class Source(StrEnum):
    """Who says which alerts fire."""

    ALERTMANAGER = "alertmanager"
    PROMETHEUS = "prometheus"


@dataclass(frozen=True)
class Watched:
    """An alert that Prometheus says fires, with what one has that Alertmanager told."""

    fingerprint: str
    labels: Mapping[str, str] = field(hash=False)
    annotations: Mapping[str, str] = field(hash=False)
    starts_at: datetime
    heard_at: datetime
    generator_url: str = ""
    firing: bool = True
    resolved: bool = False
    ends_at: datetime | None = None


class AlertSources:
    """Reads the alerts; `receives`: Alertmanager may tell its alerts to this service."""

    def __init__(
        self, alerts: Alerts, prometheus: PrometheusStore | None, *, receives: bool
    ) -> None:
        self._alerts = alerts
        self._prometheus = prometheus
        self._receives = receives
        self._question = None if prometheus is None else SharedQuestion(SETTING, prometheus.firing)

    @property
    def source(self) -> Source | None:
        """Who says which alerts fire; None where the settings name nobody."""
        if self._receives:
            return Source.ALERTMANAGER
        return None if self._prometheus is None else Source.PROMETHEUS

    def list(
        self, identity: Identity, *, ended: bool, limit: int, offset: int
    ) -> Page[Alert | Watched]:
        """Return what fires, newest first; with `ended`, also what Alertmanager told within a day.

        Raises: PermissionDeniedError, StorageUnavailableError, StoreUnavailableError.
        """
        if self._receives:
            page = self._alerts.list(identity, ended=ended, limit=limit, offset=offset)
            return Page([*page.items], page.total)
        may_in(identity, Action.ALERT_READ)
        found = self._about_us(self._asking()) if self.source else []
        return Page([*found[offset : offset + limit]], len(found))

    def begin(self) -> Callable[[], Sequence[Alert | Watched]]:
        """Ask what fires, and return what waits for the answer: as much as the console can show.

        Raises: StoreNotSetError where nobody says; what is returned raises StorageUnavailableError
        and StoreUnavailableError.
        """
        if self._receives:
            return self._alerts.firing
        return partial(self._about_us, self._asking())

    def find(self, reference: str) -> Known:
        """Return the alert of this fingerprint or name; it need not fire where it has a rule.

        Raises: AlertNotFoundError, StorageUnavailableError, StoreUnavailableError.
        """
        if reference == WATCHDOG:
            raise AlertNotFoundError(_HEARTBEAT)
        if self._receives and (kept := self._alerts.find(reference)) is not None:
            return of_kept(kept)
        rules = [] if self._prometheus is None else self._prometheus.rules()
        alerts = [rule for rule in rules if rule.is_alert]
        ours = [one for one in map(_ours, alerts) if one is not None]
        found = of_rules(ours, reference)
        if found is None:
            raise AlertNotFoundError(self._unknown(reference, {rule.name for rule in ours}))
        # Another service may call an alert the same: of ours that fires, the labels tell it apart.
        theirs = {rule.name for rule in alerts if _ours(rule) is None}
        if not found.firing and found.name in theirs:
            return replace(found, labels={**found.labels, "job": JOB})
        return found

    def close(self) -> None:
        """Let the thread end."""
        if self._question is not None:
            self._question.close()

    def _unknown(self, reference: str, names: Iterable[str]) -> str:
        told = self._alerts.names() if self._receives else set()
        if sentence := meant(reference, {*names, *told}):
            return sentence
        if self.source is None:
            return NEITHER
        if self._prometheus is None:
            return f"{AlertNotFoundError.default_detail} {_PLANNED}"
        return (
            "Prometheus has no rule of that name about this service, and nothing of that "
            "fingerprint fires."
        )

    def _asking(self) -> Callable[[], Sequence[Firing]]:
        if self._question is None:
            raise StoreNotSetError(SETTING, "address of Prometheus")
        return self._question.begin()

    def _about_us(self, answer: Callable[[], Sequence[Firing]]) -> Sequence[Watched]:
        """Return what Prometheus says of this service, the newest first."""
        moment = datetime.now(UTC)
        ours = [
            one
            for one in answer()
            if one.labels.get("job") == JOB and one.labels.get(NAME) != WATCHDOG
        ]
        found = [_watched(one, moment) for one in ours]
        return sorted(found, key=lambda one: (-one.starts_at.timestamp(), one.fingerprint))


def _ours(rule: Rule) -> Rule | None:
    """Return what of an alert is about this service, None where nothing is: who looks after it
    silences no other's. A rule that does not name us may be about all that is scraped."""
    if _OURS in rule.expression or rule.labels.get("job") == JOB:
        return rule
    firing = tuple(one for one in rule.firing if one.labels.get("job") == JOB)
    return replace(rule, firing=firing) if firing else None


def _watched(one: Firing, moment: datetime) -> Watched:
    return Watched(fingerprint(one.labels), one.labels, one.annotations, one.starts_at, moment)
