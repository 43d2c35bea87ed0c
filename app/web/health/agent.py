"""Whether an agent leads: its lease in the database holds."""

from app.core.errors import AgentMissingError
from app.storage import Database
from app.storage.lease import agent_leads


def look_for_agent(database: Database, seconds: float) -> None:
    """Return when an agent leads.

    Raises: AgentMissingError; StorageUnavailableError where the database does not say in time.
    """
    if not agent_leads(database, seconds):
        raise AgentMissingError
