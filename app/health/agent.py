"""Whether an agent leads: its lease in the database is fresh."""

from app.errors import AgentMissingError
from app.storage import Database, utc_now


def look_for_agent(database: Database, seconds: float) -> None:
    """Return when an agent leads.

    Raises: AgentMissingError; StorageUnavailableError where the database does not say in time.
    """
    until = database.agent_leads_until(seconds)
    if until is None or until <= utc_now():
        raise AgentMissingError
