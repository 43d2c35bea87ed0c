"""Counts the exits that were recorded, each once, whatever is killed in between.

In one transaction the rows are marked and the numbers of the database raised; the metric follows
the commit. What a process that dies in between has not told the metric, the next term backfills.
"""

from collections import Counter

from sqlalchemy import select

from app.agent.leader.election import Term
from app.core.errors import StorageError
from app.domain.durable_counters import DurableCounters
from app.storage import ContainerExit, Database, DurableCounter

# A transaction for more would hold the lease's row for longer.
_BATCH = 500


class ExitCounter:
    """Counts what is not counted yet; for one thread of the leader."""

    def __init__(self, database: Database, counts: DurableCounters, term: Term) -> None:
        self._database = database
        self._counts = counts
        self._term = term

    def run(self) -> None:
        """Count. Raises: StorageError, LeadershipLostError.

        A commit without an answer may have been made: the term ends, and the next one begins with
        what the database says.
        """
        while self._has_uncounted():
            try:
                counted = self._mark()
            except StorageError:
                self._term.end()
                raise
            # Later than that a backfill of the next leader may have counted it already.
            if not self._term.is_certain:
                self._term.end()
                return
            for reason, amount in counted.items():
                self._counts.tell(DurableCounter.ENVIRONMENT_EXITS, reason, amount)

    def _has_uncounted(self) -> bool:
        query = select(ContainerExit.container_id).where(~ContainerExit.counted).limit(1)
        with self._database.reading() as session:
            return session.scalar(query) is not None

    def _mark(self) -> Counter[str]:
        with self._database.writing() as session:
            self._term.fence(session)
            rows = session.scalars(
                select(ContainerExit)
                .where(~ContainerExit.counted)
                .limit(_BATCH)
                .with_for_update(skip_locked=True)
            ).all()
            for row in rows:
                row.counted = True
            counted = Counter(str(row.reason) for row in rows)
            for reason, amount in sorted(counted.items()):
                self._counts.add(session, DurableCounter.ENVIRONMENT_EXITS, reason, amount)
            return counted
