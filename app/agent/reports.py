"""What the leader found, in the database: a number that outlives who found it.

The scrape reads it there and says how old it is (see `app.metrics.inventory`); a gauge of the
agent's own would vanish with the agent, and every alert on it with the gauge.
"""

from collections.abc import Mapping

from app.agent.leader.election import Term
from app.storage import AgentReport, Database, Report, now, put_rows


class Reports:
    """Writes reports in a term."""

    def __init__(self, database: Database, term: Term) -> None:
        self._database = database
        self._term = term

    def write(self, values: Mapping[Report, float]) -> None:
        """Write what is known now. Raises: StorageError, LeadershipLostError."""
        with self._database.writing() as session:
            # Not by `fence`: who mends what differs may hold the lease, waiting for the record.
            self._term.confirm(session)
            moment = now(session)
            for name, value in values.items():
                row = {"name": name, "value": value, "at": moment}
                put_rows(session, AgentReport, [row], key=("name",), changed=("value", "at"))
