"""Numbers of the whole service, counted in the database at scrape time.

They are the same whichever worker answers. A database that is gone or hangs costs the scrape no
more than the deadline, once: until a read succeeds again, scrapes wait for it only briefly.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from prometheus_client.core import Metric
from sqlalchemy import case, func, select

from app.deadline import SingleFlight
from app.storage import Database, Environment, User, utc_now
from app.telemetry.catalogue import ENVIRONMENT_STATUSES, environments, environments_total, users
from app.telemetry.queries import UNMEASURED

_BRIEF_SECONDS = 0.1
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)


class _Counts(NamedTuple):
    environments: Mapping[str, int]
    users: Mapping[str, int]


class Inventory:
    """Collector of the counts. `collect` raises what reading them raised."""

    name = "inventory"

    def __init__(self, database: Database, deadline: float) -> None:
        self._database = database
        self._deadline = deadline
        self._well = True
        self._read = SingleFlight("inventory", self._count)

    def collect(self) -> Iterable[Metric]:
        patience = self._deadline if self._well else min(self._deadline, _BRIEF_SECONDS)
        self._well = False
        counts = self._read.begin().result(patience)
        self._well = True
        by_status = [
            ((status,), float(counts.environments.get(status, 0)))
            for status in ENVIRONMENT_STATUSES
        ]
        by_state = [((state,), float(count)) for state, count in counts.users.items()]
        return [
            environments_total.samples(by_status),
            environments.samples(by_status),
            users.samples(by_state),
        ]

    def close(self) -> None:
        """End the thread that reads."""
        self._read.close()

    def _count(self) -> _Counts:
        by_status = select(Environment.status, func.count()).group_by(Environment.status)
        now = utc_now()
        seen = User.last_authenticated_at
        by_state = select(
            func.count().label("registered"),
            func.count(case((seen > now - _DAY, 1))).label("active_24h"),
            func.count(case((seen > now - _WEEK, 1))).label("active_7d"),
        ).select_from(User)
        with self._database.reading() as session:
            session.connection(execution_options=UNMEASURED)
            environments = {str(status): count for status, count in session.execute(by_status)}
            counts = _Counts(environments, session.execute(by_state).one()._asdict())
        self._well = True  # also where nobody waited for so long
        return counts
