"""What a whole round says where the service does not take the password that it has just set."""

import pytest
from sqlalchemy import select, update

from app.core.settings import Settings
from app.probing.rounds import Prober, target
from app.storage import Database, ProbeRound, User
from tests.probing.stranger import Stranger

REFUSAL = b'{"type": "urn:vibebox:problem:invalid-credentials", "title": "Wrong"}'


@pytest.fixture
def prober(sqlite: Database, stranger: Stranger) -> Prober:
    stranger.status, stranger.body = 401, REFUSAL
    settings = Settings(probe_url=stranger.url, argon2_memory_kib=8)
    goes_by = target(settings)
    assert goes_by is not None
    return Prober(settings, sqlite, goes_by)


def test_database_of_another_service_is_named(prober: Prober, sqlite: Database) -> None:
    found = prober.run("command")

    assert found.step == "sign_in"
    assert "has another database than this round" in (found.says or "")
    assert sqlite.describe() in (found.says or "")
    assert "DATABASE_URL" in (found.next_step or "")


def test_password_that_somebody_has_set_meanwhile(
    prober: Prober, sqlite: Database, stranger: Stranger
) -> None:
    def somebody_sets_it() -> None:
        with sqlite.writing() as session:
            session.execute(update(User).values(password_hash="another"))

    stranger.meanwhile = somebody_sets_it
    found = prober.run("command")

    assert found.step == "sign_in" and "set the account's password" in (found.next_step or "")


@pytest.mark.parametrize("trial", [True, False])
def test_trial_leaves_no_round_behind(prober: Prober, sqlite: Database, trial: bool) -> None:
    prober.run("command", trial=trial)

    with sqlite.reading() as session:
        assert len(session.scalars(select(ProbeRound)).all()) == (0 if trial else 1)
