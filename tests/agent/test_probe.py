"""The leader counts the rounds of the synthetic user, whoever made them, each once."""

import logging
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from app.agent import probe as module
from app.agent.leader.election import Term
from app.agent.leader.lease import Leases
from app.agent.probe import Probe
from app.core.settings import Settings
from app.domain.durable_counters import DurableCounters
from app.domain.probe.rounds import Outcome, ProbeRounds
from app.metrics import events
from app.storage import AgentReport, Database, ProbeRound, ProbeStep, Report
from tests.support.checks import moved

ROUNDS, FAILURES = "vibebox_probe_rounds_total", "vibebox_probe_failures_total"
TIMES = "vibebox_probe_step_duration_seconds_count"
CRON = Settings(probe_url="http://127.0.0.1:1", probe="cron")


@pytest.fixture
def term(database: Database) -> Term:
    won = Leases(database, "leader").win()
    assert won is not None
    return Term(won, time.monotonic() + 60)


@pytest.fixture(autouse=True)
def counting() -> Iterator[None]:
    events.connect()
    yield


def probe(database: Database, term: Term, settings: Settings = CRON) -> Probe:
    return Probe(settings, database, DurableCounters("here"), term)


def finish(database: Database, step: str | None) -> None:
    rounds = ProbeRounds(database)
    says = None if step is None else "It failed."
    rounds.finish(rounds.begin("command", 60), Outcome({"sign_in": 0.5}, step, says, says))


def test_rounds_are_counted_once_by_how_they_ended(database: Database, term: Term) -> None:
    for step in (None, *ProbeStep, None):
        finish(database, step)
    one = probe(database, term)
    with moved(ROUNDS) as rounds, moved(FAILURES) as failures, moved(TIMES) as times:
        one.run()
        one.run()
    number = len(ProbeStep)
    assert rounds == {("success",): 2, ("failure",): number}
    assert failures == {(step.value,): 1 for step in ProbeStep}
    assert times == {("sign_in",): number + 2}
    with database.reading() as session:
        numbers = DurableCounters("here").all(session)
    assert numbers[ROUNDS, "failure"] == number


def test_trouble_is_told_each_time_and_its_end_once(
    database: Database, term: Term, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=module.__name__)
    for step in ("start", "start", None, None):
        finish(database, step)
    probe(database, term).run()
    said = [it.message for it in caplog.records if it.name == module.__name__]
    assert said == ["synthetic user fails"] * 2 + ["synthetic user succeeds again"]


def test_end_of_trouble_is_told_by_an_agent_that_did_not_see_it_begin(
    database: Database, term: Term, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=module.__name__)
    for step in ("start", None, None):
        finish(database, step)
        probe(database, term).run()  # each time as after a restart
    said = [it.message for it in caplog.records if it.name == module.__name__]
    assert said == ["synthetic user fails", "synthetic user succeeds again"]


def test_rounds_are_awaited_from_the_first_look(database: Database, term: Term) -> None:
    one = probe(database, term)
    one.run()
    with database.reading() as session:
        first = session.get_one(AgentReport, Report.PROBE).at
    one.run()
    with database.reading() as session:
        assert session.get_one(AgentReport, Report.PROBE).at == first
        assert session.scalars(select(ProbeRound)).all() == []


def test_agent_makes_one_when_it_is_due(database: Database, term: Term) -> None:
    settings = CRON.model_copy(update={"probe": "agent", "argon2_memory_kib": 8})
    one = probe(database, term, settings)
    with moved(FAILURES) as failures:
        one.run()
        one.run()  # 300 seconds have not passed
    assert failures == {("sign_in",): 1}  # nothing listens there


def test_term_that_ends_says_nothing_of_the_service(
    database: Database, term: Term, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = CRON.model_copy(update={"probe": "agent", "argon2_memory_kib": 8})
    one = probe(database, term, settings)

    def due() -> bool:
        term.end()
        return True

    monkeypatch.setattr(one, "_is_due", due)
    with moved(ROUNDS) as rounds:
        one.run()
    assert rounds == {}
    with database.reading() as session:
        assert session.scalars(select(ProbeRound)).all() == []
