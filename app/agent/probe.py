"""The task of the leader that lets the synthetic user go its round, and counts rounds.

Those that a command made are counted here too, each once, as exits are (see `exit_counter`): the
row is marked and the numbers of the database raised in one transaction, and the metric follows.
"""

import logging
from collections import Counter
from collections.abc import Sequence

from sqlalchemy import select

from app.agent.leader.election import Term
from app.core import signals
from app.core.errors import ProbeUnderWayError, StorageError
from app.core.settings import Settings
from app.domain.durable_counters import DurableCounters
from app.domain.probe.rounds import ProbeRounds
from app.probing.rounds import CutOffError, Prober, target
from app.storage import (
    AgentReport,
    Database,
    DurableCounter,
    ProbeRound,
    Report,
    insert_missing,
    now,
)

LOOKS = 5.0
"""Seconds between two looks whether a round is due, or to be counted."""
_BATCH = 100
_log = logging.getLogger(__name__)


class Probe:
    """Lets rounds be made, where the settings say that the agent makes them, and counts all."""

    def __init__(
        self, settings: Settings, database: Database, counts: DurableCounters, term: Term
    ) -> None:
        self._database = database
        self._counts = counts
        self._term = term
        self._rounds = ProbeRounds(database)
        self._interval = settings.probe_interval
        goes_by = target(settings)
        self._prober = (
            Prober(settings, database, goes_by, term.over.is_set)
            if settings.probe == "agent" and goes_by is not None
            else None
        )

    def run(self) -> None:
        """Do what is due. Raises: StorageError, LeadershipLostError."""
        self._expect()
        if self._prober is not None and self._is_due():
            try:
                self._prober.run("agent")
            except (ProbeUnderWayError, CutOffError):
                return
        while not self._term.over.is_set() and self._count():
            pass

    def _is_due(self) -> bool:
        since = self._rounds.seconds_since_last()
        return since is None or since >= self._interval

    def _expect(self) -> None:
        """Note since when rounds are awaited, where nobody has: one that never comes is missed."""
        with self._database.reading() as session:
            if session.get(AgentReport, Report.PROBE) is not None:
                return
        with self._database.writing() as session:
            self._term.fence(session)
            row = {"name": Report.PROBE, "value": 0.0, "at": now(session)}
            insert_missing(session, AgentReport, [row])

    def _count(self) -> bool:
        """Count some rounds; tell whether there may be more. A lost answer ends the term."""
        query = select(ProbeRound.id).where(
            ~ProbeRound.counted, ProbeRound.finished_at.is_not(None)
        )
        with self._database.reading() as session:
            ids = session.scalars(query.order_by(ProbeRound.finished_at).limit(_BATCH)).all()
        if not ids:
            return False
        try:
            before, rounds = self._mark(ids)
        except StorageError:
            self._term.end()
            raise
        if not self._term.is_certain:  # the next leader may have backfilled it
            self._term.end()
            return False
        for one in rounds:
            self._tell(one, before)
            before = one.step
        return True

    def _mark(self, ids: Sequence[str]) -> tuple[str | None, list[ProbeRound]]:
        """Return the rounds, in their order, and at which step the one before them failed."""
        with self._database.writing() as session:
            self._term.fence(session)
            newest = ProbeRound.finished_at.desc()
            # In the database: whoever has told of it may be another agent, which led before.
            before = session.scalar(
                select(ProbeRound.step).where(ProbeRound.counted).order_by(newest).limit(1)
            )
            rounds = list(
                session.scalars(
                    select(ProbeRound)
                    .where(ProbeRound.id.in_(ids), ~ProbeRound.counted)
                    .order_by(ProbeRound.finished_at)
                    .with_for_update()
                )
            )
            for one in rounds:
                one.counted = True
            for (counter, value), amount in sorted(_amounts(rounds).items()):
                self._counts.add(session, counter, value, amount)
            session.flush()
            session.expunge_all()
        return before, rounds

    def _tell(self, one: ProbeRound, before: str | None) -> None:
        for (counter, value), amount in _amounts([one]).items():
            self._counts.tell(counter, value, amount)
        for step, seconds in one.seconds.items():
            signals.emit(signals.probe_step_done, step=step, seconds=seconds)
        if one.step is not None:
            extra = {"step": one.step, "why": one.says, "next_step": one.next_step}
            _log.warning("synthetic user fails", extra={**extra, "place": one.place})
        elif before is not None:
            _log.info("synthetic user succeeds again")


def _amounts(rounds: Sequence[ProbeRound]) -> Counter[tuple[DurableCounter, str]]:
    """Return what these rounds add to the counters, by counter and value."""
    found: Counter[tuple[DurableCounter, str]] = Counter()
    for one in rounds:
        outcome = "success" if one.step is None else "failure"
        found[DurableCounter.PROBE_ROUNDS, outcome] += 1
        if one.step is not None:
            found[DurableCounter.PROBE_FAILURES, one.step] += 1
    return found
