"""Which alert is meant: by its name or fingerprint, from whoever knows of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches

from app.domain.alerts.heartbeat import WATCHDOG
from app.storage import Alert
from app.stores.prometheus import JOB, Firing, Labels, Rule

NAME = "alertname"
"""The label that every alert is called by."""
_JOB = "job"
_OFFSET, _PRIME, _WORD = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1
_BESIDE = 0xFF


@dataclass(frozen=True)
class Known:
    """An alert, as Alertmanager told it or Prometheus has it; `starts_at` None where it does not
    fire."""

    name: str
    labels: Labels = field(hash=False)
    annotations: Labels = field(hash=False)
    fingerprint: str | None
    starts_at: datetime | None
    firing: bool

    def shared_labels(self, reference: str) -> Labels:
        """Return the labels that all alerts have which are meant by this fingerprint or name.

        Those of a name are of our job where this one is: another service may call one of its own
        the same, and a rule may be about all that is scraped.
        """
        if reference == self.fingerprint:
            return self.labels
        ours = {_JOB: JOB} if self.labels.get(_JOB) == JOB else {}
        return {NAME: reference, **ours}


def of_rules(rules: Sequence[Rule], reference: str) -> Known | None:
    """Return the alert that Prometheus knows by this name or fingerprint: the first that fires.

    The fingerprint is Alertmanager's where Prometheus adds no external labels.
    """
    # What always fires says nothing of the service.
    alerts = [rule for rule in rules if rule.is_alert and rule.name != WATCHDOG]
    for rule in alerts:
        found = [
            (one, mark)
            for one in rule.firing
            if reference in (rule.name, mark := fingerprint(one.labels))
        ]
        if found:
            one, mark = max(found, key=lambda pair: pair[0].value)
            return _known(rule.name, one, mark)
    if any(rule.name == reference for rule in alerts):
        return Known(reference, {NAME: reference}, {}, None, None, firing=False)
    return None


def meant(reference: str, names: Iterable[str]) -> str | None:
    """Return what leads from a mistyped name to one of these; None where none is like it."""
    near = get_close_matches(reference, sorted({*names} - {WATCHDOG}), 1)
    return f"No alert is called {reference}. Did you mean {near[0]}?" if near else None


def of_kept(alert: Alert) -> Known:
    """Return an alert that Alertmanager told."""
    name, labels = str(alert.labels.get(NAME, "")), alert.labels
    return Known(name, labels, alert.annotations, alert.fingerprint, alert.starts_at, alert.firing)


def _known(name: str, one: Firing, mark: str) -> Known:
    return Known(name, one.labels, one.annotations, mark, one.starts_at, firing=True)


def fingerprint(labels: Labels) -> str:
    """Return what Alertmanager knows an alert by: FNV-1a over its labels, in their order."""
    total = _OFFSET
    for name, value in sorted(labels.items()):
        for text in (name, value):
            for byte in (*text.encode("utf-8", "replace"), _BESIDE):
                total = (total ^ byte) * _PRIME & _WORD
    return f"{total:016x}"
