"""Rows that several processes may want to write at once, and of which one is enough."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, cast, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.storage.models import Base


def put_rows(
    session: Session,
    model: type[Base],
    rows: Sequence[dict[str, Any]],
    *,
    key: Sequence[str],
    changed: Sequence[str],
) -> None:
    """Insert rows; of those that there are by `key`, write the columns `changed` anew."""
    if not rows:
        return
    if session.get_bind().dialect.name == "postgresql":
        there = postgresql.insert(model)
        new = {name: there.excluded[name] for name in changed}
        session.execute(there.on_conflict_do_update(index_elements=key, set_=new), rows)
    else:
        here = sqlite.insert(model)
        new = {name: here.excluded[name] for name in changed}
        session.execute(here.on_conflict_do_update(index_elements=key, set_=new), rows)


def add_rows(
    session: Session,
    model: type[Base],
    rows: Sequence[dict[str, Any]],
    *,
    key: Sequence[str],
    added: Sequence[str],
    largest: Sequence[str] = (),
    changed: Sequence[str] = (),
) -> None:
    """Insert many rows; to those that there are by `key`, add the columns `added`.

    Of `largest` the larger value stays, and `changed` are written anew. Each row is of another key
    and has a value for every column: nothing has a default here.
    """
    if not rows:
        return
    insert: Any
    larger: Any
    given: list[Any] = []
    if session.get_bind().dialect.name == "postgresql":
        insert, larger = _of_arrays(model, rows), func.greatest
    else:
        insert, larger = sqlite.insert(model), func.max
        given = [rows]
    there = model.__table__.c
    new = {name: there[name] + insert.excluded[name] for name in added}
    new |= {name: larger(there[name], insert.excluded[name]) for name in largest}
    new |= {name: insert.excluded[name] for name in changed}
    upsert = insert.on_conflict_do_update(index_elements=key, set_=new)
    session.execute(upsert, *given)


def _of_arrays(model: type[Base], rows: Sequence[dict[str, Any]]) -> postgresql.Insert:
    """Return the insertion of rows, each with the same columns, by one array for each column.

    One statement, whose text does not depend on their number: with ON CONFLICT the driver would
    send one for each row, and a statement of all their values would be put together each time.
    """
    names = list(rows[0])
    columns = [model.__table__.c[name] for name in names]
    arrays = [
        func.unnest(cast(bindparam(None, [row[column.name] for row in rows], of), of))
        for column in columns
        for of in [postgresql.ARRAY(column.type)]
    ]
    return postgresql.insert(model).from_select(names, select(*arrays), include_defaults=False)


def insert_missing(session: Session, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert those rows whose key nobody has written; the others stay as they are."""
    if not rows:
        return
    if session.get_bind().dialect.name == "postgresql":
        session.execute(postgresql.insert(model).on_conflict_do_nothing(), rows)
    else:
        session.execute(sqlite.insert(model).on_conflict_do_nothing(), rows)
