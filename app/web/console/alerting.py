"""What the console shows of alerts: those that fire, by whom they are silenced, and the silences.

What cannot be known is missing for a reason, and makes nothing else missing: a page that asks again
and again while Alertmanager is down is no failed request each time.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from app.core.errors import StoreNotSetError, VibeBoxError
from app.domain.alerts.silences import Silences, muting
from app.domain.alerts.sources import NEITHER, AlertSources, Watched
from app.domain.authorization import Action, Identity, may_anywhere
from app.storage import Alert
from app.stores.alertmanager import Silence
from app.web.api.schemas.alerts import AlertView
from app.web.api.schemas.silences import SilenceView

T = TypeVar("T")


class Alerting:
    """Reads alerts and silences as a page shows them."""

    def __init__(self, sources: AlertSources, silences: Silences) -> None:
        self._sources = sources
        self._silences = silences

    def read(self, identity: Identity) -> dict[str, Any]:
        """Return what this account sees: `silences` is null for who may not see them, and where
        no setting names an Alertmanager."""
        # Both are asked before either is waited for: whoever hangs holds a thread for one wait.
        silences, alerts = self._begin_silences(), self._begin_alerts()
        current, trouble = _answered(silences)
        found, reason = ((), NEITHER) if alerts is None else _answered(alerts)
        views = [AlertView.of(one, muting(current or (), one.labels)) for one in found or ()]
        shown: dict[str, Any] = {"alerts": _by_name(views), "alerts_reason": reason}
        if Action.SILENCE_READ not in may_anywhere(identity):
            return {**shown, "silences": None, "silences_reason": None}
        items = None if current is None else [_silence(one) for one in current]
        return {**shown, "silences": items, "silences_reason": trouble}

    def _begin_silences(self) -> Callable[[], Sequence[Silence]] | None:
        try:
            return self._silences.begin()
        except StoreNotSetError:
            return None

    def _begin_alerts(self) -> Callable[[], Sequence[Alert | Watched]] | None:
        return None if self._sources.source is None else self._sources.begin()


def _answered(answer: Callable[[], Sequence[T]] | None) -> tuple[Sequence[T] | None, str | None]:
    """Return an answer, or why there is none; neither where nobody was asked."""
    try:
        return None if answer is None else answer(), None
    except VibeBoxError as error:
        return None, error.detail


def _by_name(views: Sequence[AlertView]) -> list[dict[str, Any]]:
    """Return one line for all alerts of a name and severity; silenced where each of them is."""
    lines: dict[tuple[str, str], list[AlertView]] = {}
    for view in views:
        lines.setdefault((view.name, view.severity), []).append(view)
    return [_line(lines[key]) for key in sorted(lines)]


def _line(views: Sequence[AlertView]) -> dict[str, Any]:
    """Return it; `link` leads to the runbook, and by `reference` the alert is explained."""
    one = views[-1]
    silences = [view.silence for view in views if view.silence is not None]
    is_silenced = len(silences) == len(views)
    silence = min(silences, key=lambda it: it.ends_at) if is_silenced else None
    return {
        "name": one.name,
        "severity": one.severity,
        "summary": one.summary,
        "link": one.runbook_url,
        "reference": one.fingerprint,
        "silence": None if silence is None else silence.model_dump(mode="json"),
    }


def _silence(one: Silence) -> dict[str, Any]:
    return SilenceView.model_validate(one).model_dump(mode="json")
