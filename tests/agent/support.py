"""What tests read of records."""

from typing import Any

from sqlalchemy import select

from app.storage import ContainerExit, Database, Environment


def stored(database: Database, environment_id: str) -> Environment:
    """Return the record as it is now."""
    with database.reading() as session:
        found = session.get_one(Environment, environment_id)
        session.expunge(found)
        return found


def exits(database: Database) -> list[tuple[str, int | None]]:
    """Return reason and exit code of each recorded exit, in the order of the runs."""
    rows = select(ContainerExit.reason, ContainerExit.exit_code).order_by(ContainerExit.run_started)
    with database.reading() as session:
        return [(str(reason), code) for reason, code in session.execute(rows)]


def change(database: Database, environment_id: str, **columns: Any) -> None:
    """Change columns of the record behind everybody's back."""
    with database.writing() as session:
        found = session.get_one(Environment, environment_id)
        for name, value in columns.items():
            setattr(found, name, value)
