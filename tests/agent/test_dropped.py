"""A transition whose end the database did not take: its holder lives on, and holds it no longer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.agent.reconcile.reconciler import Reconciler, Verdict
from app.core.errors import StorageUnavailableError
from app.core.settings import Settings
from app.domain.authorization import Action
from app.domain.environments.transitions import Transition, Transitions
from app.domain.heartbeat import Heartbeat
from app.domain.quotas.build import build_checks
from app.storage import Database, EnvironmentStatus
from tests.agent.conftest import MakeRecord
from tests.agent.support import stored

STOPPED, STARTING = EnvironmentStatus.STOPPED, EnvironmentStatus.STARTING


@pytest.fixture
def heartbeat(database: Database) -> Heartbeat:
    return Heartbeat(database)


@pytest.fixture
def transitions(database: Database, heartbeat: Heartbeat) -> Transitions:
    return Transitions(database, heartbeat, build_checks(Settings()))


def begin(transitions: Transitions, environment: str) -> Transition:
    return transitions.begin(
        None,
        environment,
        [STOPPED],
        STARTING,
        action=Action.ENVIRONMENT_OPERATE,
        audited="environment.start",
        ends=True,
    )


@contextmanager
def silent(database: Database, monkeypatch: pytest.MonkeyPatch, late: bool) -> Iterator[None]:
    """Let the database not answer; `late` says that it does what it is told all the same."""
    real = database.writing

    @contextmanager
    def writing() -> Iterator[Any]:
        if late:
            with real() as session:
                yield session
        raise StorageUnavailableError

    with monkeypatch.context() as patch:
        patch.setattr(database, "writing", writing)
        with pytest.raises(StorageUnavailableError):
            yield


def test_end_without_an_answer_drops_the_passage(
    database: Database,
    record: MakeRecord,
    transitions: Transitions,
    heartbeat: Heartbeat,
    reconciler: Reconciler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = record(STOPPED)
    transition = begin(transitions, environment)
    with silent(database, monkeypatch, late=False):
        transitions.end(transition, STOPPED)
    assert reconciler.reconcile(environment) is Verdict.PASSING

    for call in heartbeat.on_seen:
        call()

    assert reconciler.reconcile(environment) is Verdict.TRUE
    assert stored(database, environment).status == STOPPED


def test_begin_that_was_late_is_dropped(
    database: Database,
    record: MakeRecord,
    transitions: Transitions,
    heartbeat: Heartbeat,
    reconciler: Reconciler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = record(STOPPED)
    with silent(database, monkeypatch, late=True):
        begin(transitions, environment)
    assert stored(database, environment).status == STARTING

    for call in heartbeat.on_seen:
        call()

    assert reconciler.reconcile(environment) is Verdict.TRUE
    assert stored(database, environment).status == STOPPED


def test_next_passage_is_not_dropped_with_the_last(
    database: Database,
    record: MakeRecord,
    transitions: Transitions,
    heartbeat: Heartbeat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = record(STOPPED)
    transition = begin(transitions, environment)
    with silent(database, monkeypatch, late=True):  # ended, as it happens
        transitions.end(transition, STOPPED)
    begin(transitions, environment)

    for call in heartbeat.on_seen:
        call()

    found = stored(database, environment)
    assert (found.status, found.held_by) == (STARTING, heartbeat.id)
