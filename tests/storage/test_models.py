"""The tables: what they refuse, delete along, and give back."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import joinedload

from app.storage import (
    ENVIRONMENT_STATUSES,
    AuthToken,
    Base,
    Database,
    Environment,
    EnvironmentStatus,
    TokenKind,
    User,
    utc_now,
)
from tests.storage.support import environment, user


def token(owner: User, **fields: Any) -> AuthToken:
    good = {
        "user": owner,
        "grant_id": "7f1c",
        "kind": TokenKind.REFRESH,
        "digest": hashlib.sha256(b"secret").hexdigest(),
        "expires_at": utc_now() + timedelta(hours=1),
    }
    return AuthToken(**{**good, **fields})


def test_environment_comes_back_as_it_was_stored(database: Database) -> None:
    with database.writing() as session:
        stored = environment(user())
        stored.env = {"KEY": "värde"}
        stored.ports = [8080, {"container": 80, "host": 8081}]
        session.add(stored)
    with database.reading() as session:
        found = session.scalars(select(Environment).options(joinedload(Environment.owner))).one()
        assert found.status is EnvironmentStatus.STOPPED
        assert (found.env, found.ports) == (stored.env, stored.ports)
        assert found.created_at == stored.created_at
        assert found.created_at.tzinfo is UTC
        assert found.owner.email == "ada@example.org"


def test_change_inside_a_json_column_is_stored(database: Database) -> None:
    with database.writing() as session:
        session.add(environment(user()))
    with database.writing() as session:
        found = session.scalars(select(Environment)).one()
        before = found.updated_at
        found.env["NEW"] = "1"
    with database.reading() as session:
        found = session.scalars(select(Environment)).one()
        assert found.env == {"NEW": "1"}
        assert found.updated_at > before


def test_every_status_can_be_stored(database: Database) -> None:
    with database.writing() as session:
        session.add(environment(user()))
    for status in ENVIRONMENT_STATUSES:
        with database.writing() as session:
            session.execute(update(Environment).values(status=status))
            assert session.scalars(select(Environment.status)).one() is status


def test_moment_of_another_zone_is_kept_and_compared_as_utc(database: Database) -> None:
    moment = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    with database.writing() as session:
        ada = user()
        ada.last_authenticated_at = moment
        session.add(ada)
    with database.reading() as session:
        found = session.scalars(select(User).where(User.last_authenticated_at == moment)).one()
        assert found.last_authenticated_at == moment


def test_moment_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="time zone"), database.writing() as session:
        ada = user()
        ada.created_at = datetime(2026, 1, 1)
        session.add(ada)


def test_address_is_stored_and_found_in_lower_case(database: Database) -> None:
    with database.writing() as session:
        session.add(user("Ada@Example.org"))
    with database.reading() as session:
        found = session.scalars(select(User).where(User.email == "ADA@example.ORG")).one()
        assert found.email == "ada@example.org"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda owner: user("b@x.org"), lambda owner: user("B@X.org")),
        (environment, environment),
        (token, token),
    ],
    ids=["address", "name of an owner's environment", "token digest"],
)
def test_duplicate_is_refused(database: Database, first: Any, second: Any) -> None:
    with database.writing() as session:
        owner = user()
        session.add_all([owner, first(owner)])
    with pytest.raises(IntegrityError), database.writing() as session:
        session.add(second(session.scalars(select(User).where(User.id == owner.id)).one()))


def test_owners_may_use_the_same_name(database: Database) -> None:
    with database.writing() as session:
        session.add_all([environment(user()), environment(user("bob@example.org"))])


@pytest.mark.parametrize(
    "change", ["UPDATE environments SET status = 'lost'", "UPDATE auth_tokens SET kind = 'other'"]
)
def test_value_outside_the_choice_is_refused(database: Database, change: str) -> None:
    with database.writing() as session:
        owner = user()
        session.add_all([environment(owner), token(owner)])
    with pytest.raises(IntegrityError, match=r"(?i)check"), database.writing() as session:
        session.execute(text(change))


def test_owner_must_exist(database: Database) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), database.writing() as session:
        owner = user()
        session.add(environment(owner))
        session.flush()
        session.execute(update(Environment).values(owner_id="nobody"))


def test_deleted_user_takes_everything_along(database: Database) -> None:
    with database.writing() as session:
        owner = user()
        session.add_all([environment(owner), token(owner)])
    with database.writing() as session:
        session.delete(session.scalars(select(User)).one())
    with database.reading() as session:
        for model in (Environment, AuthToken):
            assert session.scalars(select(func.count()).select_from(model)).one() == 0


def test_every_constraint_and_index_has_a_name() -> None:
    for table in Base.metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints)
        assert all(index.name for index in table.indexes)
