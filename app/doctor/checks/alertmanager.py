"""Whether alerts get from Prometheus by an Alertmanager to this service.

A heartbeat comes this way all the time, where there is one; where it is missing, `chain` finds out
why. That no other alert has come says nothing as long as none fires.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from app.core.errors import StoreUnavailableError
from app.core.settings import Settings
from app.doctor import chain
from app.doctor.findings import Finding, ago, failed, not_configured, ok, skipped, warning
from app.doctor.looks import Records
from app.domain.alerts.heartbeat import Cut, Heartbeat, Pulse, State
from app.storage import Alert, db_now
from app.stores.build import Stores
from app.stores.prometheus import JOB, SETTING, PrometheusStore

DUE = timedelta(minutes=5)
"""How long an alert may fire before somebody must have told of it."""


def look(settings: Settings, records: Records, heartbeat: Heartbeat, stores: Stores) -> Finding:
    """Return which link of the way is broken, the first one first."""
    if settings.alerts_token is None:
        return not_configured("VIBEBOX_ALERTS_TOKEN is not set: no alerts are received.")
    heard, pulse = _heard(records), _pulse(records, heartbeat)
    try:
        return (
            _of_heartbeat(pulse, stores)
            or _of_links(stores.prometheus, pulse, heard)
            or _of_alerts(stores.prometheus, heard, settings.alerts_expire)
            or _well(stores.prometheus, pulse, heard)
        )
    except StoreUnavailableError:
        return skipped("Prometheus does not say which alerts it sends where.")


def _pulse(records: Records, heartbeat: Heartbeat) -> Pulse:
    with records.reading() as session:
        return heartbeat.look(session)


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


def _of_heartbeat(pulse: Pulse, stores: Stores) -> Finding | None:
    """Look where the chain is cut; that nobody has set one up is no fault, but will be one."""
    if pulse.state is not State.MISSING:
        return None
    cut = chain.find(pulse, stores)
    if pulse.beat_at is not None:
        since = f"The last heartbeat of alerting came {ago(pulse.age or 0.0)} ago: "
        return failed(f"{since}{cut.says}", cut.next_step)
    return warning(f"No heartbeat of alerting has ever come: {cut.says}", cut.next_step)


def _of_links(store: PrometheusStore | None, pulse: Pulse, heard: float | None) -> Finding | None:
    """Look at what is broken, and not for long enough to be missed."""
    if store is None:
        return None
    known = [seconds for seconds in (heard, _age(pulse)) if seconds is not None]
    since = min([chain.RECENT, *(max(1.0, seconds) for seconds in known)])
    return _told_of(chain.of_managers(store)) or _told_of(chain.of_answers(store, since))


def _told_of(cut: Cut | None) -> Finding | None:
    return None if cut is None else failed(cut.says, cut.next_step)


def _age(pulse: Pulse) -> float | None:
    return pulse.age if pulse.state is State.BEATING else None


def _well(store: PrometheusStore | None, pulse: Pulse, heard: float | None) -> Finding:
    if (age := _age(pulse)) is not None:
        return ok(f"The last heartbeat of alerting came {ago(age)} ago; {_told(heard)}.")
    if pulse.state is State.WAITING and pulse.beat_at is not None:
        return ok(
            f"VibeBox has started {ago(pulse.age or 0.0)} ago, and waits for the heartbeat of "
            f"alerting; {_told(heard)}."
        )
    if store is not None:
        return ok(f"Prometheus sends alerts to Alertmanager; {_told(heard)}.")
    if heard is not None:
        return ok(f"{_told(heard).capitalize()}.")
    return warning(
        "No notification has come within a day, and whether one was due nobody can tell.",
        f"Set {SETTING}, so that the way of alerts can be looked at.",
    )


def _of_alerts(store: PrometheusStore | None, heard: float | None, expire: float) -> Finding | None:
    """Look whether what fires is told of: `expire` is for how long one notification is believed."""
    if store is None:
        return None
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
        f"See whether it is silenced. If not: {chain.CONNECT[0].lower()}{chain.CONNECT[1:]}",
    )
