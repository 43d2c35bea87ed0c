"""Operators: the accounts that may set quotas and read the whole audit log.

Only the command line names them: whoever has the database in hand, and nobody over HTTP.
"""

from sqlalchemy import select

from app import audit
from app.errors import UserNotFoundError
from app.storage import Database, User


def set_operator(database: Database, email: str, *, operator: bool) -> bool:
    """Make the account an operator, or no longer one; tell whether that changed it.

    Raises: UserNotFoundError.
    """
    with database.writing() as session:
        user = session.scalar(select(User).where(User.email == email).with_for_update())
        if user is None:
            raise UserNotFoundError
        if user.is_operator is operator:
            return False
        user.is_operator = operator
        action = "operator.grant" if operator else "operator.revoke"
        audit.record(session, None, action, audit.Target("account", user.id, user.email))
        return True


def operators(database: Database) -> list[str]:
    """Return the e-mail addresses of the operators, in their order."""
    with database.reading() as session:
        query = select(User.email).where(User.is_operator).order_by(User.email)
        return list(session.scalars(query))
