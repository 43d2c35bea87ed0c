"""The alert that always fires is a heartbeat: none of the alerts, and missed when none comes."""

from datetime import timedelta
from math import inf
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from sqlalchemy import select, update

from app.domain.accounts.operators import set_operator
from app.domain.alerts.heartbeat import Cut
from app.metrics.inventory import Inventory
from app.storage import AlertHeartbeat, Process, utc_now
from monitoring.rules.alerts import alerting
from tests.domain.alerts.test_service import TOKEN, Told, alert
from tests.support.application import MakeApp, User, parts

LIMIT = 180.0
CUT = Cut("webhook", "What comes is refused.", "Give it the token.")


@pytest.fixture
def app(make_app: MakeApp) -> OpenAPI:
    return make_app(alerts_token=TOKEN)


@pytest.fixture
def told(user: User, app: OpenAPI) -> Told:
    return Told(user, app)


def watchdog(evaluated: str = "1.000", **changes: Any) -> dict[str, Any]:
    return alert(
        labels={"alertname": alerting.WATCHDOG, "severity": "none"},
        annotations={alerting.EVALUATED: evaluated} if evaluated else {},
        **changes,
    )


def pulse(told: Told) -> dict[str, Any]:
    answer = told.user.get("/api/v1/alerts/heartbeat")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


def pretend(told: Told, **columns: Any) -> None:
    with parts(told.app).database.writing() as session:
        session.execute(update(AlertHeartbeat).values(**columns))


def age_shown(told: Told) -> float:
    """Return what a scrape shows."""
    inventory = Inventory(parts(told.app).database, 5, with_business=False)
    try:
        (sample,) = (
            sample
            for family in inventory.collect()
            for sample in family.samples
            if sample.name == "vibebox_alerting_heartbeat_age_seconds"
        )
    finally:
        inventory.close()
    return float(sample.value)


def test_heartbeat_is_none_of_the_alerts(told: Told) -> None:
    assert pulse(told)["state"] == "waiting"
    receipt = told(watchdog(), alert())

    assert receipt == {"received": 1, "dropped": 0, "truncated": 0, "heartbeats": 1}
    assert [one["name"] for one in told.listed("?ended=true")] == ["HighAPILatency"]
    assert [one["name"] for one in told.strip()] == ["HighAPILatency"]
    found = pulse(told)
    assert (found["state"], found["limit_seconds"], found["cut"]) == ("beating", LIMIT, None)
    assert found["beat_at"] == found["heard_at"] and 0 <= found["age_seconds"] < 60
    # By its name nothing is explained either.
    set_operator(parts(told.app).database, told.user.email, operator=True)
    assert told.user.get("/api/v1/alerts/Watchdog/explanation").status_code == 404


def test_its_end_is_neither_a_beat_nor_an_alert(told: Told) -> None:
    receipt = told(watchdog(status="resolved", endsAt=utc_now().isoformat()))
    assert (receipt["received"], receipt["heartbeats"]) == (0, 0)
    assert (pulse(told)["state"], told.listed("?ended=true")) == ("waiting", [])


@pytest.mark.parametrize(
    ("first", "evaluated", "beats"),
    [
        ("1.000", "1.000", False),
        ("1.000", "2.000", True),
        ("", "", True),
        ("", "1.000", True),
        ("1.000", "", False),  # of another Prometheus, which sends to the same Alertmanager
    ],
)
def test_the_same_again_is_no_beat(told: Told, first: str, evaluated: str, beats: bool) -> None:
    """Alertmanager repeats what a Prometheus that is gone has said; without a time all count."""
    told(watchdog(first))
    pretend(told, beat_at=utc_now() - timedelta(seconds=2 * LIMIT))
    told(watchdog(evaluated))
    found = pulse(told)
    assert found["state"] == ("beating" if beats else "missing")
    assert (found["heard_at"] == found["beat_at"]) == beats


def test_text_that_no_database_holds_is_a_beat_all_the_same(told: Told) -> None:
    told(watchdog("\x00"))
    with parts(told.app).database.reading() as session:
        assert session.scalar(select(AlertHeartbeat.evaluated)) == "\N{REPLACEMENT CHARACTER}"


def test_where_it_is_cut_is_told_to_operators_until_it_beats(told: Told) -> None:
    told(watchdog())
    pretend(told, beat_at=utc_now() - timedelta(seconds=LIMIT + 1))
    heartbeat = parts(told.app).alerts.heartbeat
    with parts(told.app).database.writing() as session:
        heartbeat.note(session, CUT)
    assert pulse(told)["cut"] is None
    set_operator(parts(told.app).database, told.user.email, operator=True)
    found = pulse(told)
    assert found["cut"] == {"link": CUT.link, "says": CUT.says, "next_step": CUT.next_step}
    told(watchdog("2.000"))
    assert pulse(told)["state"] == "beating"
    pretend(told, beat_at=utc_now() - timedelta(seconds=LIMIT + 1))
    assert (pulse(told)["state"], pulse(told)["cut"]) == ("missing", None)


def test_none_that_has_ever_come_is_missed_once_it_is_expected(told: Told) -> None:
    heartbeat = parts(told.app).alerts.heartbeat
    with parts(told.app).database.writing() as session:
        heartbeat.expect(session)
    assert pulse(told)["state"] == "waiting"
    pretend(told, expected_since=utc_now() - timedelta(seconds=LIMIT + 1))
    found = pulse(told)
    assert (found["state"], found["beat_at"]) == ("missing", None)
    assert found["age_seconds"] > LIMIT


def test_one_is_waited_for_again_after_a_stop(told: Told) -> None:
    def begin(name: str, ago: float) -> None:
        started = utc_now() - timedelta(seconds=ago)
        with parts(told.app).database.writing() as session:
            session.merge(Process(id=name, place="web", started_at=started, seen_at=utc_now()))

    told(watchdog())
    pretend(told, beat_at=utc_now() - timedelta(days=2))
    assert pulse(told)["state"] == "missing"  # and nobody listens
    begin("one", 10)
    found = pulse(told)
    assert (found["state"], found["cut"]) == ("waiting", None)
    assert found["beat_at"] is not None and 10 <= found["age_seconds"] < 60
    begin("one", LIMIT + 1)
    assert pulse(told)["state"] == "missing"
    begin("two", 10)  # in the place of another one
    assert pulse(told)["state"] == "missing"
    begin("one", 10)
    heartbeat = parts(told.app).alerts.heartbeat
    with parts(told.app).database.writing() as session:
        heartbeat.note(session, CUT)  # before all of them were started again
    assert pulse(told)["state"] == "missing"


@pytest.mark.parametrize("settings", [{}, {"alerts_token": TOKEN, "alerts_heartbeat": 0}])
def test_none_is_expected_where_no_setting_asks(make_app: MakeApp, settings: Any) -> None:
    app = make_app(**settings)
    found = parts(app).alerts.heartbeat.read()
    assert (found.state, found.age) == ("off", None)


def test_age_grows_until_something_new_is_told(told: Told) -> None:
    assert age_shown(told) == inf
    told(watchdog())
    assert 0 <= age_shown(told) < 60
    pretend(told, beat_at=utc_now() - timedelta(seconds=500))
    assert 500 <= age_shown(told) < 560
    told(watchdog())
    assert age_shown(told) >= 500
    told(watchdog("2.000"))
    assert age_shown(told) < 60
