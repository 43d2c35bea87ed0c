"""Operators: the accounts that look after the service: accounts, quotas, the whole audit log.

Only the command line names them: whoever has the database in hand, and nobody over HTTP.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import UserNotFoundError
from app.domain import audit
from app.storage import Database, User


def set_operator(database: Database, email: str, *, operator: bool) -> bool:
    """Make the account an operator, or no longer one; tell whether that changed it.

    Raises: UserNotFoundError.
    """
    with database.writing() as session:
        user = session.scalar(select(User).where(User.email == email).with_for_update())
        if user is None:
            raise UserNotFoundError(f"No account has the e-mail address {email}.")
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


def is_last_operator(session: Session, user_id: str) -> bool:
    """Tell whether the account is the only operator who can sign in.

    All their rows are locked, so that of two who go at once the second sees the first; call it
    before other accounts are locked.
    """
    query = select(User.id).where(User.is_operator, User.disabled_at.is_(None)).order_by(User.id)
    return session.scalars(query.with_for_update()).all() == [user_id]
