"""Rows that several processes may want to write at once, and of which one is enough."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func
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
    """Insert rows, each of another key; to those that there are by `key`, add the columns `added`.

    Of `largest` the larger value stays, and `changed` are written anew.
    """
    if not rows:
        return
    insert: Any
    larger: Any
    if session.get_bind().dialect.name == "postgresql":
        insert, larger = postgresql.insert(model), func.greatest
    else:
        insert, larger = sqlite.insert(model), func.max
    there = model.__table__.c
    new = {name: there[name] + insert.excluded[name] for name in added}
    new |= {name: larger(there[name], insert.excluded[name]) for name in largest}
    new |= {name: insert.excluded[name] for name in changed}
    session.execute(insert.on_conflict_do_update(index_elements=key, set_=new), rows)


def insert_missing(session: Session, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert those rows whose key nobody has written; the others stay as they are."""
    if not rows:
        return
    if session.get_bind().dialect.name == "postgresql":
        session.execute(postgresql.insert(model).on_conflict_do_nothing(), rows)
    else:
        session.execute(sqlite.insert(model).on_conflict_do_nothing(), rows)
