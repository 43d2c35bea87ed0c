"""Whether alerts get from Prometheus by an Alertmanager to this service.

That nothing has come says nothing as long as nothing fires. So each link is asked for by itself:
Prometheus knows its Alertmanagers, scrapes them where it is told to, and has counted, with our own
metrics, what this service has answered to them.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import func, select

from app.core.errors import StoreUnavailableError
from app.core.settings import Settings
from app.doctor.findings import Finding, ago, failed, not_configured, ok, skipped, warning
from app.doctor.looks import Records
from app.metrics.promql import JOB, failed_webhooks, refused_notifications
from app.storage import Alert, db_now
from app.stores.prometheus import SETTING, PrometheusStore

DUE = timedelta(minutes=5)
"""How long an alert may fire before somebody must have told of it."""
_RECENT = 600.0
"""Seconds for which the counters of notifications are looked at, at most."""
_CONNECT = (
    "Let a webhook of Alertmanager send to /api/v1/alerts of this service, with the value of "
    "VIBEBOX_ALERTS_TOKEN as credentials (monitoring/alertmanager/alertmanager.yml shows it)."
)


def look(settings: Settings, records: Records, store: PrometheusStore | None) -> Finding:
    """Return which link of the way is broken, the first one first."""
    if settings.alerts_token is None:
        return not_configured("VIBEBOX_ALERTS_TOKEN is not set: no alerts are received.")
    heard = _heard(records)
    if store is None:
        return _unwatched(heard)
    try:
        return (
            _of_managers(store)
            or _of_answers(store, heard)
            or _of_alerts(store, heard, settings.alerts_expire)
            or ok(f"Prometheus sends alerts to Alertmanager; {_told(heard)}.")
        )
    except StoreUnavailableError:
        return skipped("Prometheus does not say which alerts it sends where.")


def _heard(records: Records) -> float | None:
    """Return how many seconds ago the last notification came; None where none has in a day."""
    query = select(func.max(Alert.heard_at), db_now())
    with records.reading() as session:
        at, moment = session.execute(query).one()
    return None if at is None else float((moment - at).total_seconds())


def _told(heard: float | None) -> str:
    if heard is None:
        return "no notification has come within a day"
    return f"the last notification came {ago(heard)} ago"


def _unwatched(heard: float | None) -> Finding:
    if heard is not None:
        return ok(f"{_told(heard).capitalize()}.")
    return warning(
        "No notification has come within a day, and whether one was due nobody can tell.",
        f"Set {SETTING}, so that the way of alerts can be looked at.",
    )


def _of_managers(store: PrometheusStore) -> Finding | None:
    managers = {urlsplit(url).netloc for url in store.alertmanagers()}
    if not managers:
        return failed(
            "Prometheus sends its alerts to no Alertmanager.",
            "Name it under `alerting:` in Prometheus' configuration, as "
            "monitoring/prometheus/prometheus.yml does.",
        )
    down = sorted(managers & {one.labels.get("instance", "") for one in store.query("up == 0")})
    if down:
        return failed(
            f"Prometheus does not reach Alertmanager at {', '.join(down)}.",
            "Start it, or correct its address in Prometheus' configuration.",
        )
    return None


def _of_answers(store: PrometheusStore, heard: float | None) -> Finding | None:
    """Look at what became of notifications since the last one that was taken."""
    since = _RECENT if heard is None else min(_RECENT, max(1.0, heard))
    refused = sorted(
        one.labels.get("status_code", "") for one in store.query(refused_notifications(since))
    )
    if refused:
        return failed(
            f"Notifications have come, and were refused with status {' and '.join(refused)}.",
            "401: give Alertmanager's webhook the value of VIBEBOX_ALERTS_TOKEN as credentials. "
            "Else see `request` in the log, with the path /api/v1/alerts.",
        )
    if store.query(failed_webhooks(since)):
        return failed("Alertmanager cannot deliver what it sends by webhook.", _CONNECT)
    return None


def _of_alerts(store: PrometheusStore, heard: float | None, expire: float) -> Finding | None:
    """Look whether what fires is told of: `expire` is for how long one notification is believed."""
    since = datetime.now(UTC) - DUE
    due = [
        rule.name
        for rule in store.rules()
        for firing in rule.firing
        if firing.labels.get("job") == JOB and firing.starts_at < since
    ]
    if not due or (heard is not None and heard < expire):
        return None
    return warning(
        f"{due[0]} fires in Prometheus, and {_told(heard)}.",
        f"See whether it is silenced. If not: {_CONNECT[0].lower()}{_CONNECT[1:]}",
    )
