"""Where the way of alerts is cut, while their heartbeat is missing: each link asked by itself.

Prometheus has the rule and evaluates it, sends the alert to Alertmanager, which sends it by a
webhook to this service. The first link that is broken is named; what nobody can be asked of is left
out, and said.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from urllib.parse import urlsplit

from app.core.errors import StoreUnavailableError
from app.doctor.findings import ended, parted
from app.domain.alerts.heartbeat import WATCHDOG, Cut, Pulse
from app.metrics.promql import failed_webhooks, refused_notifications
from app.stores import alertmanager as telling
from app.stores import prometheus as watching
from app.stores.alertmanager import AlertmanagerStore
from app.stores.build import Stores
from app.stores.prometheus import PrometheusStore

_START = "Start it; where it runs, see its log."
RECENT = 600.0
"""Seconds for which the counters of notifications are looked at, at most."""
CONNECT = (
    "Let a webhook of Alertmanager send to /api/v1/alerts of this service, with the value of "
    "VIBEBOX_ALERTS_TOKEN as credentials (monitoring/alertmanager/alertmanager.yml shows it)."
)


class Link(StrEnum):
    """A link of the chain, from where it begins."""

    RULE = "rule"
    PROMETHEUS = "prometheus"
    SENDING = "sending"
    ALERTMANAGER = "alertmanager"
    ROUTE = "route"
    WEBHOOK = "webhook"
    UNKNOWN = "unknown"


def find(pulse: Pulse, stores: Stores) -> Cut:
    """Return the first link that is broken, by what the stores of the settings say."""
    prometheus, alertmanager = stores.prometheus, stores.alertmanager
    since = min(RECENT, max(1.0, pulse.age or 0.0))
    for cut in _looks(pulse, prometheus, alertmanager, since):
        if cut is not None:
            return cut
    if prometheus is None or alertmanager is None:
        unset = watching.SETTING if prometheus is None else telling.SETTING
        return _cut(
            Link.UNKNOWN,
            "No heartbeat comes, and not every link of its way can be asked for.",
            f"Set {unset}, and see that Prometheus has the rule {WATCHDOG}.",
        )
    return _cut(
        Link.ROUTE,
        f"Alertmanager has the alert {WATCHDOG}, and sends it nowhere that leads here.",
        f"Give it the route and the receiver of {WATCHDOG}. {CONNECT}",
    )


def _looks(
    pulse: Pulse,
    prometheus: PrometheusStore | None,
    alertmanager: AlertmanagerStore | None,
    since: float,
) -> Iterator[Cut | None]:
    if prometheus is not None:
        yield of_prometheus(prometheus)
    elif _only_repeats(pulse):
        yield _cut(
            Link.PROMETHEUS,
            "Alertmanager repeats what Prometheus said long ago.",
            "See that Prometheus runs, and sends its alerts to Alertmanager.",
        )
    if alertmanager is not None:
        yield of_alertmanager(alertmanager)
        if _only_repeats(pulse):
            yield _unsent("What it tells Alertmanager does not arrive there.")
    elif prometheus is not None:
        yield _asked(prometheus, of_managers)
    if prometheus is not None:
        yield _asked(prometheus, lambda store: of_answers(store, since))


def of_prometheus(store: PrometheusStore) -> Cut | None:
    """Return what is wrong before the alert leaves Prometheus."""
    try:
        rules = [one for one in store.rules() if one.is_alert and one.name == WATCHDOG]
    except StoreUnavailableError as error:
        return _cut(Link.PROMETHEUS, *parted(error.detail, _START))
    if not rules:
        return _cut(
            Link.RULE,
            f"Prometheus has no rule {WATCHDOG}.",
            "Name alerts.yml of monitoring/prometheus under rule_files in its configuration, and "
            "have it read that again (SIGHUP).",
        )
    if not any(one.firing for one in rules):
        return _cut(
            Link.PROMETHEUS,
            f"Prometheus does not evaluate its rule {WATCHDOG}.",
            "See its page of rules, and its log.",
        )
    return None


def of_managers(store: PrometheusStore) -> Cut | None:
    """Return what Prometheus says of its Alertmanagers, where none can be asked itself.

    Raises: StoreUnavailableError.
    """
    managers = {urlsplit(url).netloc for url in store.alertmanagers()}
    if not managers:
        return _unsent("Prometheus sends its alerts to no Alertmanager.")
    down = sorted(managers & {one.labels.get("instance", "") for one in store.query("up == 0")})
    if down:
        return _cut(
            Link.ALERTMANAGER,
            f"Prometheus does not reach Alertmanager at {', '.join(down)}.",
            "Start it, or correct its address in Prometheus' configuration.",
        )
    return None


def of_alertmanager(store: AlertmanagerStore) -> Cut | None:
    """Return what is wrong before the alert leaves Alertmanager."""
    try:
        held = store.alerts(WATCHDOG)
    except StoreUnavailableError as error:
        return _cut(Link.ALERTMANAGER, *parted(error.detail, _START))
    if not held:
        return _unsent(f"Alertmanager does not have the alert {WATCHDOG}.")
    if all(one.suppressed for one in held):
        return _cut(
            Link.ROUTE,
            f"The alert {WATCHDOG} is silenced or inhibited in Alertmanager.",
            "End the silence, or have it inhibited by nothing.",
        )
    return None


def of_answers(store: PrometheusStore, since: float) -> Cut | None:
    """Return what became of the notifications of so many seconds.

    Raises: StoreUnavailableError.
    """
    refused = sorted(
        one.labels.get("status_code", "") for one in store.query(refused_notifications(since))
    )
    if refused:
        return _cut(
            Link.WEBHOOK,
            f"Notifications have come, and were refused with status {' and '.join(refused)}.",
            "401: give Alertmanager's webhook the value of VIBEBOX_ALERTS_TOKEN as credentials. "
            "Else see `request` in the log, with the path /api/v1/alerts.",
        )
    if store.query(failed_webhooks(since)):
        return _cut(Link.WEBHOOK, "Alertmanager cannot deliver what it sends by webhook.", CONNECT)
    return None


def _unsent(says: str) -> Cut:
    return _cut(
        Link.SENDING,
        says,
        "Name Alertmanager under `alerting:` in Prometheus' configuration, as "
        "monitoring/prometheus/prometheus.yml does, and see that Prometheus reaches it.",
    )


def _only_repeats(pulse: Pulse) -> bool:
    """Tell whether the alert was still told, with nothing new, when it should have been new."""
    if pulse.heard_at is None or pulse.beat_at is None or pulse.age is None:
        return False
    quiet = pulse.age - (pulse.heard_at - pulse.beat_at).total_seconds()
    return quiet < pulse.limit / 2


def _asked(store: PrometheusStore, look: Callable[[PrometheusStore], Cut | None]) -> Cut | None:
    try:
        return look(store)
    except StoreUnavailableError as error:
        return _cut(Link.PROMETHEUS, *parted(error.detail, _START))


def _cut(link: Link, says: str, next_step: str) -> Cut:
    return Cut(link.value, ended(says), next_step)
