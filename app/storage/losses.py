"""What a downgrade loses: tables, columns and rows that were there before it."""

from typing import NamedTuple

from sqlalchemy import Connection, func, inspect, select, table

from app.storage.revisions import OLDEST_SERVED_TABLE, REVISION_TABLE

_BOOKKEEPING = {OLDEST_SERVED_TABLE, REVISION_TABLE}


class Contents(NamedTuple):
    """A table: its columns, and how many rows it has."""

    columns: frozenset[str]
    rows: int


class Loss(NamedTuple):
    """A table that goes, a column of one that stays (`column`), or rows of one that stays."""

    table: str
    rows: int
    column: str | None = None
    whole: bool = False

    def __str__(self) -> str:
        rows = f"{self.rows} row{'' if self.rows == 1 else 's'}"
        if self.column is not None:
            return f"{self.table}.{self.column}, of {rows}"
        return f"{self.table}, {rows}" if self.whole else f"{rows} of {self.table}"


def inventory(connection: Connection) -> dict[str, Contents]:
    """Return what the tables of the database hold."""
    inspector = inspect(connection)
    return {
        name: Contents(
            frozenset(column["name"] for column in inspector.get_columns(name)),
            connection.scalar(select(func.count()).select_from(table(name))) or 0,
        )
        for name in sorted(set(inspector.get_table_names()) - _BOOKKEEPING)
    }


def losses_between(before: dict[str, Contents], after: dict[str, Contents]) -> list[Loss]:
    """Return what is there `before` and not `after`, table by table."""
    lost: list[Loss] = []
    for name, had in before.items():
        has = after.get(name)
        if has is None:
            lost.append(Loss(name, had.rows, whole=True))
            continue
        lost += [Loss(name, had.rows, column) for column in sorted(had.columns - has.columns)]
        if has.rows < had.rows:
            lost.append(Loss(name, had.rows - has.rows))
    return lost
