"""Numbers of the whole service, counted in the database at scrape time.

They are the same whichever worker answers. A database that is gone or hangs costs the scrape no
more than the deadline, once: until a read succeeds again, scrapes wait for it only briefly.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import product
from math import inf
from typing import NamedTuple

from prometheus_client.core import Metric
from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from app.core.single_flight import SingleFlight
from app.metrics import business as business_numbers
from app.metrics import probe as probe_state
from app.metrics.catalogue import (
    ENVIRONMENT_STATUSES,
    SESSION_STATUSES,
    SESSION_TYPES,
    agent_leading,
    agent_sweep_age,
    alerting_heartbeat_age,
    environment_drift,
    environments,
    environments_total,
    sessions,
    sessions_total,
    users,
)
from app.storage import (
    AgentReport,
    AlertHeartbeat,
    Database,
    Environment,
    EnvironmentSession,
    Lease,
    Report,
    SessionStatus,
    User,
    db_now,
)
from app.storage.lease import NAME, holds
from prefork_metrics.sqlalchemy import UNMEASURED

_BRIEF_SECONDS = 0.1
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)


class _Counts(NamedTuple):
    environments: Mapping[str, int]
    users: Mapping[str, int]
    sessions: Mapping[tuple[str, str], int]
    agent_leads: bool
    drift: float
    sweep_age: float
    heartbeat_age: float
    business: business_numbers.Counts | None
    probed: probe_state.Probed | None


class Inventory:
    """Collector of the counts. `collect` raises what reading them raised."""

    name = "inventory"

    def __init__(
        self,
        database: Database,
        deadline: float,
        *,
        with_business: bool,
        probe_interval: float | None = None,
    ) -> None:
        """probe_interval: seconds between rounds of the synthetic user; None where it is off."""
        self._database = database
        self._probe_interval = probe_interval
        self._with_business = with_business
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
        by_type = [
            (key, float(counts.sessions.get(key, 0)))
            for key in product(SESSION_TYPES, SESSION_STATUSES)
        ]
        return [
            environments_total.samples(by_status),
            environments.samples(by_status),
            users.samples(by_state),
            sessions_total.samples(by_type),
            sessions.samples(by_type),
            agent_leading.samples([((), float(counts.agent_leads))]),
            agent_sweep_age.samples([((), counts.sweep_age)]),
            alerting_heartbeat_age.samples([((), counts.heartbeat_age)]),
            environment_drift.samples([((), counts.drift)]),
            *(business_numbers.families(counts.business) if counts.business is not None else ()),
            *self._of_probe(counts.probed),
        ]

    def _of_probe(self, probed: probe_state.Probed | None) -> Iterable[Metric]:
        if probed is None or self._probe_interval is None:
            return ()
        return probe_state.families(probed, self._probe_interval)

    def close(self) -> None:
        """End the thread that reads."""
        self._read.close()

    def _count(self) -> _Counts:
        by_status = (
            select(Environment.status, func.count())
            .where(~Environment.is_synthetic)
            .group_by(Environment.status)
        )
        seen = User.last_authenticated_at
        by_state = select(
            func.count().label("registered"),
            func.count(case((seen > db_now(-_DAY), 1))).label("active_24h"),
            func.count(case((seen > db_now(-_WEEK), 1))).label("active_7d"),
        ).where(~User.is_synthetic)
        kind, state = EnvironmentSession.type, EnvironmentSession.status
        recent = or_(state != SessionStatus.TERMINATED, EnvironmentSession.ended_at > db_now(-_DAY))
        by_type = (
            select(kind, state, func.count())
            .join(Environment, Environment.id == EnvironmentSession.environment_id)
            .where(recent, ~Environment.is_synthetic)
            .group_by(kind, state)
        )
        with self._database.reading() as session:
            session.connection(execution_options=UNMEASURED)
            environments = {str(status): count for status, count in session.execute(by_status)}
            states = session.execute(by_state).one()._asdict()
            found = {(str(row[0]), str(row[1])): row[2] for row in session.execute(by_type)}
            beat = _heartbeat_age(session)
            of_business = business_numbers.count(session) if self._with_business else None
            probed = probe_state.read(session) if self._probe_interval is not None else None
            counts = _Counts(
                environments, states, found, *_agent(session), beat, of_business, probed
            )
        self._well = True  # also where nobody waited for so long
        return counts


def _agent(session: Session) -> tuple[bool, float, float]:
    """Return whether an agent leads, the drift that one found last, and the age of the last sweep.

    A report of a time that is yet to come is as old as it is early: the clock was set back.
    """
    leads = session.scalar(select(holds()).where(Lease.name == NAME))
    reports = select(AgentReport.name, AgentReport.value, AgentReport.at, db_now())
    drift, age = 0.0, inf
    for name, value, at, moment in session.execute(reports):
        if name == Report.DRIFT:
            drift = value
        elif name == Report.SWEEP:
            age = abs((moment - at).total_seconds())
    return bool(leads), drift, age


def _heartbeat_age(session: Session) -> float:
    """Return the age of the last heartbeat of alerting."""
    beat = session.execute(select(AlertHeartbeat.beat_at, db_now())).first()
    if beat is None or beat[0] is None:
        return inf
    return abs(float((beat[1] - beat[0]).total_seconds()))
