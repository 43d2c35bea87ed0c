"""What an account has come through: first moments, days, and what is counted of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.business.journey import BITS, Journey, Step, Way, day_of, number_of, way_of
from app.metrics import catalogue

BORN = datetime(2026, 1, 31, 23, 59, 59, 999_999, UTC)
WEEK = timedelta(days=7)
TICK = timedelta(microseconds=1)
ACTS = st.lists(st.timedeltas(timedelta(0), timedelta(days=90)), max_size=40)


def journey(*acts: tuple[datetime, Step | None]) -> Journey:
    made = Journey("a", Way.OPEN, BORN)
    for at, step in acts:
        made.act(at, step)
    return made


@given(ACTS)
def test_days_are_known_whatever_the_order(ages: list[timedelta]) -> None:
    moments = [BORN + age for age in ages]
    made = journey(*((at, None) for at in moments))
    known = {(made.active_day or 0) - back for back in range(BITS) if made.active_days >> back & 1}
    days = {number_of(day_of(at)) for at in moments}
    # Not those that one only later learnt of two months behind: they were never needed.
    assert known <= days
    assert {day for day in days if day > max(days) - BITS} <= known


@given(ACTS)
def test_the_order_changes_no_moment(ages: list[timedelta]) -> None:
    acts = [(BORN + age, list(Step)[number % 4]) for number, age in enumerate(ages)]
    assert journey(*acts).counted() == journey(*reversed(acts)).counted()
    assert journey(*acts, *acts) == journey(*acts)


@pytest.mark.parametrize(
    ("age", "counts"),
    [(WEEK - TICK, 0), (WEEK, 1), (2 * WEEK - TICK, 1), (2 * WEEK, 0)],
    ids=["just before", "begins", "ends", "just after"],
)
def test_second_week(age: timedelta, counts: int) -> None:
    assert journey((BORN + age, None)).counted()["second_week"] == counts


def test_shell_on_the_border_and_with_a_clock_set_back() -> None:
    on_time = journey((BORN + timedelta(minutes=1), Step.TERMINAL)).counted()
    assert (on_time["shell_within_60"], on_time["shell_us"]) == (1, 60_000_000)
    late = journey((BORN + timedelta(minutes=1) + TICK, Step.VSCODE)).counted()
    assert (late["shell_within_60"], late["shell_within_300"]) == (0, 1)
    before = journey((BORN - timedelta(hours=1), Step.TERMINAL)).counted()
    assert (before["shell_within_60"], before["shell_us"], before["shell"]) == (1, 0, 1)


def test_a_step_of_the_funnel_needs_all_before_it() -> None:
    at = BORN + WEEK
    counted = journey((at, Step.STARTED), (at, Step.TERMINAL)).counted()
    assert (counted["started"], counted["shell"], counted["second_week"]) == (1, 1, 1)
    assert [counted[f"then_{step}"] for step in ("started", "shell", "second_week")] == [0, 0, 0]


def test_days_are_those_of_utc() -> None:
    zone = datetime.fromisoformat("2026-02-01T01:30:00+02:00")
    assert day_of(zone).isoformat() == "2026-01-31"


def test_a_way_of_a_newer_release_is_unknown() -> None:
    assert way_of("account.register", {"way": "carrier pigeon"}) is Way.UNKNOWN
    assert way_of("account.register", {}) is Way.UNKNOWN
    assert way_of("account.login", {"way": "open"}) is None


def test_labels_are_the_ways_there_are() -> None:
    assert set(catalogue.SIGNUP_WAYS) == set(Way)
