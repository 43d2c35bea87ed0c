"""Whether an agent leads: its lease in the database is fresh."""

from sqlalchemy import exists, select

from app.errors import AgentMissingError
from app.storage import Database, Lease, deadline, utc_now
from app.telemetry.queries import UNMEASURED

_LEASE = "agent"


def look_for_agent(database: Database, seconds: float) -> None:
    """Return when an agent leads.

    Raises: AgentMissingError; StorageUnavailableError where the database does not say in time.
    """
    fresh = exists().where(Lease.name == _LEASE, Lease.expires_at > utc_now())
    with deadline.within(seconds), database.reading() as session:
        session.connection(execution_options=UNMEASURED)
        if not session.scalar(select(fresh)):
            raise AgentMissingError
