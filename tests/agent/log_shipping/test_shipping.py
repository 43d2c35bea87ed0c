"""Lines leave whole and numbered; what is in doubt is sent again as it was, and counted."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.agent.log_intake.retention import LogRetention
from app.agent.log_shipping import outbox as outbox_module
from app.core.errors import LeadershipLostError
from app.core.log_receiver import Outcome, Reply
from app.storage import (
    Database,
    Environment,
    LogEntry,
    LogShipping,
    LogSource,
    Project,
    Team,
)
from app.storage.cautious_clock import CautiousClock
from tests.agent.log_intake.test_retention import second_environment
from tests.agent.log_shipping.support import (
    ANSWER_LOST,
    AWAY,
    FakeReceiver,
    Writing,
    counted,
    delete_lines,
    run,
    shipper,
)
from tests.backends.migrated import at_head


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """One kind is enough here; see `test_any_course` for the other."""
    database = Database(at_head(f"sqlite:///{tmp_path}/vibebox.db"))
    yield database
    database.dispose()


def test_lines_leave_once_and_in_order_with_the_numbers_of_their_container(
    database: Database, environment: str
) -> None:
    with database.writing() as session:
        other = second_environment(session, environment)
    first, second = Writing(database, environment), Writing(database, other, "second")
    first.write("a", "b")
    second.write("x")
    first.write("c", stream="stderr")
    receiver = FakeReceiver()
    ours = shipper(database, receiver)
    run(ours)
    run(ours)
    assert receiver.texts() == ["a", "b", "x", "c"]
    assert receiver.numbers() == [1, 2, 3]
    assert receiver.numbers("second") == [1]
    last = receiver.lines[-1]
    assert (last.environment_id, last.stream, last.team) == (environment, "stderr", None)

    first.write("d")
    run(shipper(database, receiver))
    assert receiver.texts() == ["a", "b", "x", "c", "d"]
    assert receiver.numbers() == [1, 2, 3, 4]
    assert counted(database) == {"accepted": 5}


def test_what_is_in_doubt_is_sent_again_as_it_was(database: Database, environment: str) -> None:
    container = Writing(database, environment)
    container.write("a", "b")
    receiver = FakeReceiver()
    receiver.replies = [ANSWER_LOST, ANSWER_LOST]
    ours = shipper(database, receiver)
    run(ours)
    container.write("c")
    run(ours)
    run(ours)
    assert [len(batch) for batch in receiver.batches] == [2, 2, 2, 1]
    assert receiver.batches[0] == receiver.batches[1] == receiver.batches[2]
    assert receiver.doubles() == 4
    assert counted(database) == {"accepted": 3, "doubtful": 4}


def test_the_next_leader_sends_again_what_a_dead_one_had_begun(
    database: Database, environment: str
) -> None:
    container = Writing(database, environment)
    container.write("a", "b")
    receiver = FakeReceiver()

    class Killed(BaseException):
        pass

    def killed(lines: object) -> None:
        receiver.batches.append(list(lines))  # type: ignore[call-overload]
        raise Killed

    receiver.judge = killed
    with pytest.raises(Killed):
        run(shipper(database, receiver))
    receiver.judge = lambda lines: None
    container.write("c")
    run(shipper(database, receiver))
    assert receiver.texts() == ["a", "b", "a", "b", "c"]
    assert counted(database) == {"accepted": 3, "doubtful": 2}


def test_a_receiver_that_is_away_costs_no_double_and_is_left_in_peace(
    database: Database, environment: str
) -> None:
    container = Writing(database, environment)
    container.write("a")
    receiver = FakeReceiver()
    receiver.replies = [AWAY, AWAY, Reply(Outcome.RETRY, "status 503", after=120.0)]
    ours = shipper(database, receiver)
    pauses = []
    for _ in range(3):
        begun = monotonic()
        run(ours)
        ours.run()  # too early
        pauses.append(ours._not_before - begun)
        container.write("more")
    assert receiver.replies == []
    assert 1 <= pauses[0] < 2 <= pauses[1] < 4 and 120 <= pauses[2] < 150
    run(ours)
    assert receiver.numbers() == [1, 2, 3, 4]
    assert counted(database) == {"accepted": 4}


def test_what_was_deleted_unsent_is_counted_and_leaves_a_gap(
    database: Database, environment: str
) -> None:
    container = Writing(database, environment)
    receiver = FakeReceiver()
    ours = shipper(database, receiver)
    container.write("a")
    run(ours)
    container.write("b", "c", "d", "e")
    delete_lines(database, "a", "b", "d")
    run(ours)
    assert receiver.numbers() == [1, 3, 5]
    container.write("f", "g")
    delete_lines(database, "f", "g")
    run(ours)
    assert counted(database) == {"accepted": 3, "lost": 4}
    container.write("h")
    run(ours)
    assert receiver.numbers() == [1, 3, 5, 8]
    assert counted(database) == {"accepted": 4, "lost": 4}


def test_what_goes_with_its_environment_is_counted(database: Database, environment: str) -> None:
    receiver = FakeReceiver()
    ours = shipper(database, receiver)
    container = Writing(database, environment)
    container.write("a")
    run(ours)
    container.write("b", "c")
    with database.writing() as session:
        session.execute(delete(Environment))
    run(ours)
    assert counted(database) == {"accepted": 1, "lost": 2}
    retention = LogRetention(database, CautiousClock(database), days=7, limit_mb=1, ships=True)
    retention.run()
    with database.reading() as session:
        assert session.scalars(select(LogSource)).all() == []


def test_it_begins_with_what_there_is(database: Database, environment: str) -> None:
    container = Writing(database, environment)
    container.write("a", "b", "c")
    delete_lines(database, "a")
    with database.writing() as session:
        other = second_environment(session, environment)
    Writing(database, other, "empty").write("x")
    delete_lines(database, "x")
    with database.writing() as session:  # of an earlier release
        session.execute(update(LogEntry).filter_by(line="b").values(source_id=None, seq=None))
    receiver = FakeReceiver()
    ours = shipper(database, receiver)
    run(ours)
    run(ours)
    assert (receiver.texts(), receiver.numbers()) == (["c"], [3])
    assert counted(database) == {"accepted": 1}


def test_batches_are_bounded(
    database: Database, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "_MOST_BYTES", 1000)
    Writing(database, environment).write(*["x" * 200] * 5, "y" * 5000, "z")
    receiver = FakeReceiver()
    run(shipper(database, receiver))
    assert [len(batch) for batch in receiver.batches] == [2, 2, 1, 1, 1]
    assert receiver.numbers() == list(range(1, 8))


def test_too_much_at_once_is_sent_in_parts(database: Database, environment: str) -> None:
    Writing(database, environment).write(*"abcdefgh", "huge", "i")
    receiver = FakeReceiver()

    def judge(lines: object) -> Reply | None:
        texts = [line.text for line in lines]  # type: ignore[attr-defined]
        if len(texts) > 3 or "huge" in texts:
            return Reply(Outcome.TOO_LARGE, "status 413")
        return None

    receiver.judge = judge
    ours = shipper(database, receiver)
    run(ours)
    run(ours)
    assert receiver.texts() == [*"abcdefgh", "i"]
    assert counted(database) == {"accepted": 9, "refused": 1}


@pytest.mark.parametrize("outcome", [Outcome.UNWANTED, Outcome.CLOSED])
def test_what_is_refused_is_given_up_or_waits(
    database: Database, environment: str, outcome: Outcome
) -> None:
    container = Writing(database, environment)
    container.write("a")
    receiver = FakeReceiver()
    receiver.replies = [Reply(outcome, "status 4xx")]
    ours = shipper(database, receiver)
    run(ours)
    assert ours._not_before > monotonic()
    container.write("b")
    run(ours)
    if outcome is Outcome.UNWANTED:
        assert receiver.numbers() == [2]
        assert counted(database) == {"accepted": 1, "refused": 1}
    else:
        assert receiver.numbers() == [1, 2]
        assert counted(database) == {"accepted": 2}


def test_what_the_receiver_leaves_out_is_counted(database: Database, environment: str) -> None:
    Writing(database, environment).write("a", "b", "c")
    receiver = FakeReceiver()
    receiver.replies = [Reply(Outcome.TAKEN, "too old", rejected=2)]
    run(shipper(database, receiver))
    assert counted(database) == {"accepted": 1, "rejected": 2}


def test_who_does_not_lead_moves_nothing(database: Database, environment: str) -> None:
    Writing(database, environment).write("a")
    leads = [True, False]

    def fence(_session: Session) -> None:
        if not leads.pop(0):
            raise LeadershipLostError

    receiver = FakeReceiver()
    with pytest.raises(LeadershipLostError):
        run(shipper(database, receiver, fence))
    with database.reading() as session:
        at = session.scalars(select(LogShipping)).one()
        assert (at.position, at.sending_to is None) == (0, False)
    run(shipper(database, receiver))
    assert receiver.numbers() == [1, 1]
    assert counted(database) == {"accepted": 1, "doubtful": 1}


def test_the_team_is_said_where_it_is_to_be(database: Database, environment: str) -> None:
    with database.writing() as session:
        team = Team(name="blue")
        session.add(team)
        session.flush()
        project = session.get_one(Environment, environment).project_id
        session.execute(
            update(Project).filter_by(id=project).values(owner_user_id=None, owner_team_id=team.id)
        )
    Writing(database, environment).write("a")
    receiver = FakeReceiver()
    run(shipper(database, receiver, with_team=True))
    assert [line.team for line in receiver.lines] == ["blue"]
