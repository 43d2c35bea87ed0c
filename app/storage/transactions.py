"""What a transaction asks of PostgreSQL beyond the usual; SQLite's are so by themselves."""

from sqlalchemy import text
from sqlalchemy.orm import Session


def read_one_moment(session: Session) -> None:
    """Have all that is read be of one moment, whatever is committed meanwhile.

    Call it first: the isolation level of a transaction that has begun cannot be changed.
    """
    if _is_postgresql(session):
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def end_when_idle(session: Session, seconds: int) -> None:
    """Have the database end the transaction of a process that is frozen in it for so long."""
    if _is_postgresql(session):
        session.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{seconds}s'"))


def _is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"
