"""Events whose number must be exact even when a process is killed: counted where they are stored.

A counter in memory that follows a commit loses the event when the process dies in between. So the
number is kept in the database too, raised by the very transaction that stores the event; the metric
follows by `signals.counted`, and the next leading agent backfills what a killed one did not count.
One process counts at a time (the leading agent). The numbers are kept by metrics directory, whose
counters begin at 0 when it is emptied.
"""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core import signals
from app.storage import DurableCounter, EventCount


class DurableCounters:
    """The numbers of one metrics directory; `directory` is its identity."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def add(self, session: Session, counter: DurableCounter, value: str, amount: int) -> None:
        """Raise the number in the caller's transaction; `value` is its one label."""
        key = {"directory": self._directory, "family": counter, "value": value}
        raised = session.execute(
            update(EventCount)
            .filter_by(**key)
            .values(count=EventCount.count + amount)
            .returning(EventCount.count)
        )
        if raised.first() is None:
            session.add(EventCount(**key, count=amount))
            session.flush()

    def tell(self, counter: DurableCounter, value: str, amount: int) -> None:
        """Let the metric follow; call it right after the transaction is committed."""
        signals.emit(signals.counted, counter=counter, value=value, amount=amount)

    def all(self, session: Session) -> dict[tuple[str, str], int]:
        """Return every number, by counter and value."""
        rows = session.scalars(select(EventCount).where(EventCount.directory == self._directory))
        return {(row.family, row.value): row.count for row in rows}
