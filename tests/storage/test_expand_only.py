"""Migrations after release 0.1.0 only expand: the release before goes on with what they make.

Judged by the statements that they execute, on both databases: what is not in the list below takes
something away from the release before, or refuses what that one writes. To contract is the work of
a later release, when no served release needs the old part any more (`docs/decisions/0029`).
"""

import re

import pytest
from sqlalchemy import Engine, event

from app.storage import Database, schema
from app.storage.revisions import BASELINE, OLDEST_SERVED_TABLE, REVISION_TABLE

_BOOKKEEPING = re.compile(rf"\b({OLDEST_SERVED_TABLE}|{REVISION_TABLE})\b")
_LOOKING = re.compile(r"(SELECT|WITH|PRAGMA|SHOW|SAVEPOINT|RELEASE)\b", re.IGNORECASE)
_FILLING = re.compile(r"(INSERT|UPDATE)\b", re.IGNORECASE)
_NEW_TABLE = re.compile(r"CREATE TABLE (?P<table>\w+)", re.IGNORECASE)
_NEW_INDEX = re.compile(r"CREATE (?P<unique>UNIQUE )?INDEX \w+ ON (?P<table>\w+)", re.IGNORECASE)
_NEW_COLUMN = re.compile(r"ALTER TABLE \w+ ADD COLUMN (?P<column>.*)", re.IGNORECASE | re.DOTALL)
_NEW_TYPE = re.compile(
    r"ALTER TABLE (?P<table>\w+)( ALTER COLUMN \w+ TYPE \w+(\(\d+, \d+\))?,?)+$", re.IGNORECASE
)
# The release before deletes rows without knowing who refers to them by now.
_REFERS = re.compile(r"\bREFERENCES\b", re.IGNORECASE)
_LETS_GO = re.compile(r"\bON DELETE (CASCADE|SET NULL)\b", re.IGNORECASE)


def contractions(statements: list[str]) -> list[str]:
    """Return the statements that the release before would notice."""
    made = {match["table"] for text in statements if (match := _NEW_TABLE.match(text))}
    return [text for text in statements if not _expands(text, made)]


def _expands(text: str, made: set[str]) -> bool:
    if len(_REFERS.findall(text)) > len(_LETS_GO.findall(text)):
        return False
    if _LOOKING.match(text) or _FILLING.match(text) or _NEW_TABLE.match(text):
        return True
    if index := _NEW_INDEX.match(text):
        return not index["unique"] or index["table"] in made
    if changed := _NEW_TYPE.match(text):
        return changed["table"] in made
    if column := _NEW_COLUMN.match(text):
        definition = column["column"].upper()
        return "NOT NULL" not in definition or "DEFAULT" in definition
    return False


def test_migrations_after_the_first_release_only_expand(empty_database: Database) -> None:
    schema.upgrade(empty_database, BASELINE)
    executed: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not _BOOKKEEPING.search(statement):
            executed.append(" ".join(statement.split()))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        schema.upgrade(empty_database)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert contractions(executed) == []


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE sessions",
        "ALTER TABLE sessions DROP COLUMN name",
        "DROP INDEX ix_sessions_status",
        "ALTER TABLE sessions RENAME TO shells",
        "ALTER TABLE users ADD COLUMN role VARCHAR(8) NOT NULL",
        "ALTER TABLE users ALTER COLUMN email SET NOT NULL",
        "ALTER TABLE users ALTER COLUMN id TYPE NUMERIC(38, 0)",
        "ALTER TABLE users ADD CONSTRAINT one UNIQUE (email)",
        "CREATE UNIQUE INDEX one ON users (password_hash)",
        "CREATE TABLE _alembic_tmp_users (id INTEGER)\x00DROP TABLE users",
        "DELETE FROM auth_tokens",
        "CREATE TABLE hosts (user_id INTEGER, FOREIGN KEY(user_id) REFERENCES users (id))",
    ],
)
def test_what_takes_something_away_is_found(statement: str) -> None:
    assert contractions(statement.split("\x00"))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE hosts (id INTEGER)\x00CREATE UNIQUE INDEX one ON hosts (id)",
        "CREATE TABLE hosts (user_id INTEGER REFERENCES users (id) ON DELETE SET NULL)",
        "CREATE INDEX two ON users (created_at)",
        "ALTER TABLE users ADD COLUMN role VARCHAR(8)",
        "ALTER TABLE users ADD COLUMN admin BOOLEAN DEFAULT false NOT NULL",
        "UPDATE users SET admin = is_operator",
    ],
)
def test_what_only_adds_passes(statement: str) -> None:
    assert not contractions(statement.split("\x00"))
