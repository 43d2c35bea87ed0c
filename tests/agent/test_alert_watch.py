"""The leader misses the heartbeat of alerting, says so once and now and then, and keeps why."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from app.agent import alert_watch
from app.agent.alert_watch import AlertWatch, interval
from app.agent.leader.election import Term
from app.agent.leader.lease import Leases
from app.core.errors import LeadershipLostError
from app.core.settings import Settings
from app.domain.alerts.heartbeat import Heartbeat, State
from app.storage import AlertHeartbeat, Database, now, utc_now
from app.stores.build import Stores

LIMIT = 180.0
Said = Callable[[], list[str]]


@pytest.fixture
def term(database: Database) -> Term:
    won = Leases(database, "leader").win()
    assert won is not None
    return Term(won, time.monotonic() + 60)


@pytest.fixture
def heartbeat(database: Database) -> Heartbeat:
    return Heartbeat(database, LIMIT)


@pytest.fixture
def watch(database: Database, heartbeat: Heartbeat, term: Term) -> AlertWatch:
    return AlertWatch(database, heartbeat, Stores(None, None, None), term)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    caplog.set_level(logging.INFO, logger=alert_watch.__name__)
    return lambda: [it.message for it in caplog.records if it.name == alert_watch.__name__]


def pretend(database: Database, ago: float) -> None:
    """Have the heartbeat be expected, and the last one be so old."""
    at = utc_now() - timedelta(seconds=ago)
    with database.writing() as session:
        session.execute(update(AlertHeartbeat).values(expected_since=at, beat_at=at))


def beat(database: Database, heartbeat: Heartbeat) -> None:
    with database.writing() as session:
        heartbeat.hear(session, "", now(session))


def test_absence_is_said_once_and_kept_until_it_beats(
    database: Database, heartbeat: Heartbeat, watch: AlertWatch, said: Said
) -> None:
    watch.run()
    assert (heartbeat.read().state, said()) == (State.WAITING, [])
    watch.run()
    pretend(database, LIMIT + 1)
    watch.run()
    watch.run()
    assert said() == ["alerting is silent"]
    cut = heartbeat.read().cut
    assert cut is not None and (cut.link, "VIBEBOX_PROMETHEUS_URL" in cut.next_step) == (
        "unknown",
        True,
    )
    beat(database, heartbeat)
    watch.run()
    watch.run()
    assert said() == ["alerting is silent", "alerting is heard again"]
    assert heartbeat.read().cut is None


def test_it_is_said_again_now_and_then(
    database: Database, watch: AlertWatch, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.run()
    pretend(database, LIMIT + 1)
    watch.run()
    later = time.monotonic() + alert_watch._REMIND + 1
    monkeypatch.setattr(alert_watch, "monotonic", lambda: later)
    watch.run()
    assert said() == ["alerting is silent"] * 2


def test_who_leads_no_more_keeps_nothing(
    database: Database, heartbeat: Heartbeat, watch: AlertWatch, term: Term
) -> None:
    watch.run()
    pretend(database, LIMIT + 1)
    term.end()
    with pytest.raises(LeadershipLostError):
        watch.run()
    assert heartbeat.read().cut is None


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        (Settings(), None),
        (Settings(alerts_token="x", alerts_heartbeat=0), None),
        (Settings(alerts_token="x"), 30.0),
        (Settings(alerts_token="x", alerts_heartbeat=3), 0.5),
        (Settings(alerts_token="x", alerts_heartbeat=86400), 60.0),
    ],
)
def test_how_often_it_looks(settings: Settings, seconds: float | None) -> None:
    assert interval(settings) == seconds
