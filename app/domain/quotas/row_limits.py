"""How many of what costs no CPU and no memory an account, a team or an environment may have.

Each is more than anybody needs who does not mean harm, and little enough that one account cannot
fill tables, lists and the agent's turns for all. The counts are taken in the transaction of the
change; where two at once may both find the last place free, a few more do no harm.
"""

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import DeclarativeBase, Session

from app.core.errors import Limit, LimitReachedError

MOST: dict[Limit, int] = {
    Limit.API_KEYS: 100,  # of an account
    Limit.PROJECTS: 200,  # of an account or a team
    Limit.MEMBERS: 500,  # of a team
    Limit.SESSIONS: 50,  # that have not ended, of an environment
    Limit.EXTENSIONS: 200,  # of an environment
    Limit.TICKETS: 200,  # that are good, of an account: they live for half a minute
}


def refuse_more(
    session: Session, limit: Limit, table: type[DeclarativeBase], *conditions: ColumnElement[bool]
) -> None:
    """Return where one row more is allowed that meets the conditions. Raises: LimitReachedError."""
    query = select(func.count()).select_from(table).where(*conditions)
    if (session.scalar(query) or 0) >= MOST[limit]:
        raise LimitReachedError(limit, MOST[limit])
