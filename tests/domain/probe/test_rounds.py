"""The record of rounds: one at a time, and what the rows say."""

from datetime import timedelta
from math import isclose

import pytest
from sqlalchemy import update

from app.core.errors import ProbeUnderWayError
from app.domain.probe.rounds import Outcome, ProbeRounds
from app.storage import AgentReport, Database, ProbeRound, Report, utc_now
from app.storage.probe_state import ProbeState, state
from tests.storage.conftest import database, empty_database, url

__all__ = ["database", "empty_database", "url"]
WELL = Outcome({"start": 1.0})
FAILED = Outcome({"start": 1.0}, "start", "It does not start.", "Start it.")


@pytest.fixture
def rounds(database: Database) -> ProbeRounds:
    return ProbeRounds(database)


def make(database: Database, rounds: ProbeRounds, outcome: Outcome, ago: float) -> None:
    """Have a round be finished so many seconds ago."""
    id = rounds.begin("agent", 60)
    rounds.finish(id, outcome)
    at = utc_now() - timedelta(seconds=ago)
    moved = {"started_at": at, "finished_at": at}
    with database.writing() as session:
        session.execute(update(ProbeRound).where(ProbeRound.id == id).values(moved))


def told(database: Database) -> ProbeState:
    with database.reading() as session:
        return state(session)


def test_one_at_a_time(rounds: ProbeRounds) -> None:
    id = rounds.begin("agent", 600)
    for seconds in (1, 60):  # whatever the other one would take
        with pytest.raises(ProbeUnderWayError):
            rounds.begin("command", seconds)
    rounds.finish(id, WELL)
    rounds.drop(rounds.begin("command", 60))
    rounds.finish(rounds.begin("command", 60), WELL)


@pytest.mark.parametrize("by", [-61, 10_000], ids=["it is overdue", "the clock was set back"])
def test_round_that_was_cut_off_is_forgotten(
    database: Database, rounds: ProbeRounds, by: float
) -> None:
    rounds.begin("agent", 60)
    with database.writing() as session:
        session.execute(update(ProbeRound).values(due_at=utc_now() + timedelta(seconds=by)))
    rounds.finish(rounds.begin("agent", 60), WELL)
    with database.reading() as session:
        assert session.query(ProbeRound).count() == 1


def test_state_says_where_and_since_when(database: Database, rounds: ProbeRounds) -> None:
    assert told(database) == ProbeState(None, None, False, 0)
    make(database, rounds, FAILED, 900)
    found = told(database)
    assert found.last is not None and found.last.step == "start"
    assert (found.has_succeeded, found.failures) == (False, 1)
    assert isclose(found.age or 0, 900, abs_tol=5)
    make(database, rounds, WELL, 600)
    assert (told(database).has_succeeded, told(database).failures) == (True, 0)
    make(database, rounds, FAILED, 300)
    make(database, rounds, FAILED, 10)
    found = told(database)
    assert isclose(found.age or 0, 600, abs_tol=5) and found.failures == 2


def test_old_rounds_go_once_they_are_counted(database: Database, rounds: ProbeRounds) -> None:
    make(database, rounds, WELL, 8 * 86400)
    make(database, rounds, WELL, 8 * 86400)
    with database.writing() as session:
        first = session.query(ProbeRound).first()
        assert first is not None
        first.counted = True
    make(database, rounds, WELL, 0)
    with database.reading() as session:
        assert session.query(ProbeRound).count() == 2


def test_rounds_that_nobody_counts_go_too(database: Database, rounds: ProbeRounds) -> None:
    make(database, rounds, WELL, 31 * 86400)
    make(database, rounds, WELL, 0)
    with database.reading() as session:
        assert session.query(ProbeRound).count() == 1


def test_clock_that_was_set_back_leaves_no_round_to_come(
    database: Database, rounds: ProbeRounds
) -> None:
    make(database, rounds, FAILED, -40 * 86400)
    assert (rounds.seconds_since_last() or 0) > 86400  # due
    rounds.finish(rounds.begin("agent", 60), WELL)
    # Else one would be due at each look, and no success the last one, for forty days.
    assert (rounds.seconds_since_last() or 0) < 60
    found = told(database)
    assert (found.has_succeeded, found.failures) == (True, 0)
    assert found.last is not None and found.last.step is None and (found.age or 0) < 60


@pytest.mark.parametrize("before", [WELL, FAILED], ids=["success", "failure"])
def test_rounds_from_before_it_was_off_say_nothing(
    database: Database, rounds: ProbeRounds, before: Outcome
) -> None:
    """Else it would be missed, or fail, as soon as it is on again."""
    make(database, rounds, before, 86400)
    with database.writing() as session:
        at = utc_now() - timedelta(seconds=100)
        session.add(AgentReport(name=Report.PROBE, value=0.0, at=at))
    found = told(database)
    assert (found.last, found.has_succeeded, found.failures) == (None, False, 0)
    assert isclose(found.age or 0, 100, abs_tol=5)
    make(database, rounds, FAILED, 50)
    found = told(database)
    assert found.last is not None and found.failures == 1
    assert isclose(found.age or 0, 100, abs_tol=5)
    with database.writing() as session:  # by a clock that was set back since
        session.get_one(AgentReport, Report.PROBE).at = utc_now() + timedelta(days=400)
    assert told(database).failures == 1 + (before is FAILED)
