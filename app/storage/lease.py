"""Whether an agent leads: what its lease in the database says, for whoever asks.

How it is won and kept is `app.agent.leader.lease`' matter. The clock is the database's, and a
lease that claims to last longer than one ever does is worth nothing: whoever wrote it had another
clock, and nobody could lead until that moment.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement

from app.storage import Database, Lease, db_now

NAME = "agent"
TTL = timedelta(seconds=8)
"""How long a leader that says nothing still leads. Longer: one that died is replaced later;
shorter: a busy machine changes leaders."""

# What is told of a moment may be some microseconds off.
_LONGEST = TTL + timedelta(seconds=1)


def holds() -> ColumnElement[bool]:
    """Return the condition that a lease holds now."""
    return (Lease.expires_at > db_now()) & (Lease.expires_at <= db_now(_LONGEST))


def agent_leads(database: Database, seconds: float) -> bool:
    """Tell whether an agent leads; an answer takes `seconds` at most.

    Raises: StorageUnavailableError where the database does not say in time.
    """
    left = database.agent_lease(seconds)
    return left is not None and 0 < left <= _LONGEST.total_seconds()
