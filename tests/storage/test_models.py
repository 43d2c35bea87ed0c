"""The tables: what they refuse, delete along, and give back."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import joinedload

from app.storage import (
    AuthToken,
    Base,
    Database,
    Environment,
    EnvironmentStatus,
    Project,
    TokenKind,
    User,
    utc_now,
)
from tests.storage.support import add_environment, environment, user

_WITH_PROJECT = [joinedload(Environment.project)]


def token(owner_id: str | None, **fields: Any) -> AuthToken:
    good = {
        "user_id": owner_id,
        "grant_id": "7f1c",
        "kind": TokenKind.REFRESH,
        "digest": hashlib.sha256(b"secret").hexdigest(),
        "expires_at": utc_now() + timedelta(hours=1),
    }
    return AuthToken(**{**good, **fields})


def test_environment_comes_back_as_it_was_stored(database: Database) -> None:
    with database.writing() as session:
        stored = add_environment(session)
        stored.env = {"KEY": "värde"}
        stored.ports = [8080, {"container": 80, "host": 8081}]
    with database.reading() as session:
        found = session.scalars(select(Environment).options(joinedload(Environment.project))).one()
        assert found.status is EnvironmentStatus.STOPPED
        assert (found.env, found.ports) == (stored.env, stored.ports)
        assert found.created_at == stored.created_at
        assert found.created_at.tzinfo is UTC
        assert found.project.name == "personal"


def test_change_inside_a_json_column_is_stored(database: Database) -> None:
    with database.writing() as session:
        add_environment(session)
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
        add_environment(session)
    for status in EnvironmentStatus:
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
        (lambda it: user("b@x.org"), lambda it: user("B@X.org")),
        (lambda it: environment(it.project, "twin"), lambda it: environment(it.project, "twin")),
        (lambda it: token(it.project.owner_user_id), lambda it: token(it.project.owner_user_id)),
    ],
    ids=["address", "name of a project's environment", "token digest"],
)
def test_duplicate_is_refused(database: Database, first: Any, second: Any) -> None:
    with database.writing() as session:
        it = add_environment(session)
        session.add(first(it))
    with pytest.raises(IntegrityError), database.writing() as session:
        session.add(second(session.get_one(Environment, it.id, options=_WITH_PROJECT)))


def test_projects_may_use_the_same_name(database: Database) -> None:
    with database.writing() as session:
        add_environment(session)
        add_environment(session, "bob@example.org")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE environments SET status = 'lost'",
        "UPDATE environments SET pull = 'sometimes'",
        "UPDATE environments SET exit_reason = 'boredom'",
        "UPDATE auth_tokens SET kind = 'other'",
        "UPDATE projects SET owner_user_id = NULL",
    ],
)
def test_value_outside_the_choice_is_refused(database: Database, change: str) -> None:
    with database.writing() as session:
        session.add(token(add_environment(session).project.owner_user_id))
    with pytest.raises(IntegrityError, match=r"(?i)check"), database.writing() as session:
        session.execute(text(change))


def test_project_must_exist(database: Database) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), database.writing() as session:
        add_environment(session)
        session.execute(update(Environment).values(project_id="nowhere"))


def test_deleted_user_takes_everything_along(database: Database) -> None:
    with database.writing() as session:
        session.add(token(add_environment(session).project.owner_user_id))
    with database.writing() as session:
        session.delete(session.scalars(select(User)).one())
    with database.reading() as session:
        for model in (Environment, AuthToken, Project):
            assert session.scalars(select(func.count()).select_from(model)).one() == 0


def test_every_constraint_and_index_has_a_name() -> None:
    for table in Base.metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints)
        assert all(index.name for index in table.indexes)
