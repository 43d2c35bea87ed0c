"""The agent: that one leads, and that it compares records with Docker."""

from sqlalchemy import select

from app.core.errors import AgentMissingError, StorageError
from app.core.settings import Settings
from app.doctor.findings import Finding, ago, failed, ok, parted, warning
from app.doctor.looks import Records, look_for_agent, refuse_absent
from app.storage import AgentReport, Lease, Process, Report, db_now
from app.storage.lease import NAME, TTL

_SECONDS = 1.0
LATE = 10.0
"""Rounds that may be missing: the alert EnvironmentsNotCompared waits for as many."""


def look(records: Records) -> Finding:
    """Return who leads, and when its lease was renewed."""
    try:
        refuse_absent(records.database)
        look_for_agent(records.database, _SECONDS)
    except AgentMissingError:
        return failed(
            "No agent is at work: images are not pulled, ended containers not noticed, and nothing "
            "expires.",
            "Start `vibebox agent` with the settings of the web server; where one runs, see its "
            "log, and restart it.",
        )
    except StorageError as error:
        return failed(*parted(error.reason, "See the database's own log."))
    query = (
        select(Process.place, Process.started_at, Lease.expires_at, db_now())
        .join(Lease, Lease.holder == Process.id)
        .where(Lease.name == NAME)
    )
    with records.reading() as session:
        found = session.execute(query).first()
    if found is None:  # it has signed off between the two questions
        return ok("An agent leads.")
    place, started_at, expires_at, moment = found
    renewed = (TTL - (expires_at - moment)).total_seconds()
    age = (moment - started_at).total_seconds()
    return ok(f"{place}, which runs for {ago(age)}, leads; it said so {ago(renewed)} ago.")


def look_at_sweeps(records: Records, settings: Settings) -> Finding:
    """Return when the leader was through with comparing all records with Docker."""
    limit = LATE * settings.agent_sweep_interval
    query = select(AgentReport.at, db_now()).where(AgentReport.name == Report.SWEEP)
    began = (
        select(Process.started_at, db_now())
        .join(Lease, Lease.holder == Process.id)
        .where(Lease.name == NAME)
    )
    with records.reading() as session:
        found = session.execute(query).first() or session.execute(began).first()
    if found is None:
        return ok("The agent has just begun.")
    # A time that is yet to come is as old as it is early: the clock was set back.
    age = abs((found[1] - found[0]).total_seconds())
    if age > limit:
        return warning(
            f"Records were last compared with Docker {ago(age)} ago: their states may be wrong.",
            "See `work failed` and `work waits` in the agent's log, and restart it.",
        )
    return ok(f"Records were last compared with Docker {ago(age)} ago.")
