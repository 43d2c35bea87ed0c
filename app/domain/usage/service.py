"""Reads the ledger: everybody what is theirs and their teams', operators all of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from app.core.errors import InvalidInputError
from app.domain.authorization import Action, Identity, may_in
from app.domain.usage.booking import SUMS
from app.domain.usage.prices import cost
from app.engine import DiskUse
from app.storage import (
    DISK_REASONS,
    SYNTHETIC,
    AgentReport,
    Database,
    Membership,
    Project,
    Report,
    UsageDisk,
    UsageRow,
    now,
    read_one_moment,
)

# A sum of nanoseconds may have more than 64 bits: 500 environments run 292 years in seven months.
_HALF = 2**32
USUAL = timedelta(days=30)
_LARGEST = ("memory_peak_bytes", "memory_limit_bytes")
_SYNTHETIC = UsageRow.environment_id == SYNTHETIC


class By(StrEnum):
    """What use is added up by."""

    ENVIRONMENT = "environment"
    PROJECT = "project"
    TEAM = "team"
    ACCOUNT = "account"


@dataclass(frozen=True)
class UsageQuery:
    """What use is asked for; None leaves open.

    `since` is inside and `until` is not: each hour, or where hours are added up already each day,
    counts whole where its beginning lies between them. `each_period`: by those as well.
    """

    by: By = By.ENVIRONMENT
    since: datetime | None = None
    until: datetime | None = None
    environment_id: str | None = None
    project_id: str | None = None
    team_id: str | None = None
    account_id: str | None = None
    each_period: bool = False

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield them as conditions on `UsageRow`, without those of time."""
        for name in ("environment_id", "project_id", "team_id", "account_id"):
            wanted = getattr(self, name)
            if wanted is not None:
                yield getattr(UsageRow, name) == wanted


@dataclass(frozen=True)
class Used:
    """What one of them has used; `id` is None for what belongs to none, such as no team.

    `disk` is what an environment that there is held at the last reading, at `disk_read_at`.
    """

    id: str | None
    name: str | None
    sums: Mapping[str, int]
    cost: float | None
    starts_at: datetime | None = None
    period: str | None = None
    disk: DiskUse | None = None
    disk_read_at: datetime | None = None


class DiskReading(NamedTuple):
    """When disks were read last, and since when and why (`DISK_REASONS`) they cannot be."""

    read_at: datetime | None
    unread_since: datetime | None
    reason: str | None


@dataclass(frozen=True)
class UsageReport:
    """Some of what is asked for, the largest CPU first (by period: the earliest), and all of it.

    `count` is how many items there are in all. `synthetic` is what environments of synthetic
    accounts have used besides, which is in no item and not in `total`.
    """

    since: datetime
    until: datetime
    items: list[Used]
    count: int
    total: Used
    synthetic: Used
    disk: DiskReading
    prices: Mapping[str, float] = field(default_factory=dict)


class Usage:
    """The readers' side of the ledger."""

    def __init__(self, database: Database, prices: Mapping[str, float]) -> None:
        """`prices` by unit; see `app.domain.usage.prices`."""
        self._database = database
        self._prices = prices

    def report(
        self, identity: Identity, query: UsageQuery, *, limit: int, offset: int = 0
    ) -> UsageReport:
        """Return what was used of what the caller may see.

        Raises: PermissionDeniedError, InvalidInputError.
        """
        may_in(identity, Action.USAGE_READ)
        with self._database.reading() as session:
            # Items, count and sum.
            read_one_moment(session)
            until = query.until or now(session)
            since = query.since or _before(until)
            if since >= until:
                end = until.isoformat(timespec="seconds")
                message = f"Name a time before `until`, which is {end}."
                raise InvalidInputError([{"field": "since", "message": message}])
            asked = [
                UsageRow.starts_at >= since,
                UsageRow.starts_at < until,
                *query.conditions(),
            ]
            if not identity.is_operator:
                asked.append(_seen_by(identity))
            counted = [*asked, ~_SYNTHETIC]
            groups = _groups(query)
            grouped = select(*groups, *_sums()).where(*counted).group_by(*groups)
            # Without the sums, which SQLite would add up once more.
            bare = select(*groups).where(*counted).group_by(*groups).subquery()
            number = select(func.count()).select_from(bare)
            rows = session.execute(_page(grouped, query, limit, offset)).mappings().all()
            ids = [row["id"] for row in rows]
            names = _names(session, query.by, ids, since, until)
            disks = _disks(session, ids) if query.by is By.ENVIRONMENT else {}
            whole = session.execute(select(*_sums()).where(*counted)).mappings().one()
            beside = session.execute(select(*_sums()).where(*asked, _SYNTHETIC)).mappings().one()
            return UsageReport(
                since=since,
                until=until,
                items=[
                    replace(
                        self._used(row, names.get(row["id"]), each_period=query.each_period),
                        **disks.get(row["id"], {}),
                    )
                    for row in rows
                ],
                count=session.scalar(number) or 0,
                total=self._used({"id": None, **whole}, None),
                synthetic=self._used({"id": None, **beside}, None),
                disk=_disk_reading(session),
                prices=self._prices,
            )

    def _used(self, row: Mapping[Any, Any], name: str | None, *, each_period: bool = False) -> Used:
        # NULL where there is nothing to add up, and decimals of PostgreSQL.
        sums = {
            column: int(row[f"{column}_high"] or 0) * _HALF + int(row[column] or 0)
            for column in SUMS
        }
        sums |= {column: int(row[column] or 0) for column in _LARGEST}
        when = (row["starts_at"], row["period"]) if each_period else (None, None)
        return Used(row["id"], name, sums, cost(self._prices, sums), *when)


def _before(until: datetime) -> datetime:
    try:
        return until - USUAL
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _seen_by(identity: Identity) -> ColumnElement[bool]:
    """Return the condition that a row is of the caller, or of a team that they are in now."""
    teams = select(Membership.team_id).where(Membership.user_id == identity.user_id)
    own = select(Project.id).where(Project.owner_user_id == identity.user_id)
    # Of a project that is gone: without a team it was its account's own.
    alone = and_(UsageRow.team_id.is_(None), UsageRow.account_id == identity.user_id)
    return or_(UsageRow.team_id.in_(teams), UsageRow.project_id.in_(own), alone)


def _groups(query: UsageQuery) -> list[Any]:
    id_of = getattr(UsageRow, f"{query.by}_id").label("id")
    return [id_of, UsageRow.starts_at, UsageRow.period] if query.each_period else [id_of]


def _sums() -> list[Any]:
    """Return the sums, each in two halves: SQLite refuses one of more than 64 bits."""
    columns = [(name, getattr(UsageRow, name)) for name in SUMS]
    low = [func.sum(column % _HALF).label(name) for name, column in columns]
    high = [func.sum(column // _HALF).label(f"{name}_high") for name, column in columns]
    return [*low, *high, *(func.max(getattr(UsageRow, name)).label(name) for name in _LARGEST)]


def _page(grouped: Select[Any], query: UsageQuery, limit: int, offset: int) -> Select[Any]:
    """Return the page of the groups."""
    id_of = getattr(UsageRow, f"{query.by}_id")
    if query.each_period:
        ordered = grouped.order_by(UsageRow.starts_at, UsageRow.period, id_of)
    else:
        ordered = grouped.order_by(func.sum(UsageRow.cpu_ns * 1.0).desc(), id_of)
    return ordered.limit(limit).offset(offset)


def _names(
    session: Session, by: By, ids: Sequence[str | None], since: datetime, until: datetime
) -> dict[str, str]:
    """Return the last name that each of these had in some time."""
    id_of, name_of = getattr(UsageRow, f"{by}_id"), getattr(UsageRow, by)
    named = (
        id_of.in_({id for id in ids if id}),
        name_of.is_not(None),
        # Not of all there is: an hour of a team would cost as much as its years.
        UsageRow.starts_at >= since,
        UsageRow.starts_at < until,
    )
    last = select(id_of.label("id"), func.max(UsageRow.starts_at).label("at"))
    newest = last.where(*named).group_by(id_of).subquery()
    query = select(id_of, func.max(name_of)).join(
        newest, and_(newest.c.id == id_of, newest.c.at == UsageRow.starts_at)
    )
    return {id: name for id, name in session.execute(query.where(*named).group_by(id_of))}


def _disks(session: Session, environments: Sequence[str | None]) -> dict[str | None, Any]:
    """Return the last sizes of these environments, as attributes of `Used`."""
    wanted = UsageDisk.environment_id.in_({id for id in environments if id})
    return {
        row.environment_id: {
            "disk": DiskUse(row.volume_bytes, row.layer_bytes),
            "disk_read_at": row.read_at,
        }
        for row in session.scalars(select(UsageDisk).where(wanted))
    }


def _disk_reading(session: Session) -> DiskReading:
    read_at = session.scalar(select(func.max(UsageDisk.read_at)))
    failing = session.get(AgentReport, Report.DISK)
    if failing is None:
        return DiskReading(read_at, None, None)
    return DiskReading(read_at, failing.at, DISK_REASONS[int(failing.value)])
