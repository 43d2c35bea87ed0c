"""Numbers of the whole service, counted in the database at scrape time.

They are the same whichever worker answers. A database that is gone or hangs costs the scrape no
more than the deadline, once: later scrapes do not wait for a read that is known to hang.
"""

from collections.abc import Iterable, Mapping

from prometheus_client.core import Metric
from sqlalchemy import func, select

from app.deadline import SingleFlight
from app.storage import Database, Environment
from app.telemetry.catalogue import ENVIRONMENT_STATUSES, environments, environments_total
from app.telemetry.queries import UNMEASURED


class Inventory:
    """Collector of the counts. `collect` raises what reading them raised."""

    name = "inventory"

    def __init__(self, database: Database, deadline: float) -> None:
        self._database = database
        self._deadline = deadline
        self._read = SingleFlight("inventory", self._environments_by_status)

    def collect(self) -> Iterable[Metric]:
        counted = self._read.begin().result(self._deadline)
        samples = [((status,), float(counted.get(status, 0))) for status in ENVIRONMENT_STATUSES]
        return [environments_total.samples(samples), environments.samples(samples)]

    def close(self) -> None:
        """End the thread that reads."""
        self._read.close()

    def _environments_by_status(self) -> Mapping[str, int]:
        counts = select(Environment.status, func.count()).group_by(Environment.status)
        with self._database.reading() as session:
            session.connection(execution_options=UNMEASURED)
            return {str(status): count for status, count in session.execute(counts)}
