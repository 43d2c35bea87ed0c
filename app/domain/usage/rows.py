"""What one transaction adds to the ledger: each row once, and with it the totals."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from app.domain.usage.booking import SUMS, Booking, Use
from app.storage import (
    SYNTHETIC,
    UsagePeriod,
    UsageRow,
    UsageTotal,
    UsageTotalKind,
    add_rows,
)

_KEY = ("environment_id", "starts_at", "period")
_TOTAL_KEY = ("kind", "id")
_NAMES = ("name", "project", "team")


class Owner(NamedTuple):
    """Whose an environment is, with the names of the moment; see `UsageRow`."""

    environment: str | None = None
    project_id: str | None = None
    project: str | None = None
    team_id: str | None = None
    team: str | None = None
    account_id: str | None = None
    account: str | None = None
    is_synthetic: bool = False

    @property
    def columns(self) -> dict[str, str | None]:
        """Those of `UsageRow`."""
        return {name: getattr(self, name) for name in OWNER_COLUMNS}


OWNER_COLUMNS = tuple(name for name in Owner._fields if name != "is_synthetic")


class _Sum:
    """What is added to one row."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.use = Use()
        self.peak = 0
        self.limit = 0

    def add(self, booking: Booking, limit: int) -> None:
        self.use += booking.use
        self.peak = max(self.peak, booking.memory_peak_bytes)
        self.limit = max(self.limit, limit)

    @property
    def values(self) -> dict[str, int]:
        return {name: getattr(self.use, name) for name in SUMS}


class Rows:
    """Collects bookings, and writes them."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, datetime, UsagePeriod], _Sum] = {}

    def add(
        self, environment_id: str, owner: Owner, bookings: Iterable[Booking], limit: int
    ) -> None:
        """Add what one environment has used; `limit` is that of its memory, in bytes.

        Synthetic ones share a row: they are many, each lives for seconds, and none is asked for.
        """
        if owner.is_synthetic:
            environment_id, owner = SYNTHETIC, owner._replace(environment=None)
        for booking in bookings:
            key = (environment_id, booking.starts_at, booking.period)
            self._found.setdefault(key, _Sum(owner)).add(booking, limit)

    def write(self, session: Session) -> None:
        """Add them to those of the database. In one order, so that no two wait for each other."""
        rows = [
            {
                **dict(zip(_KEY, key, strict=True)),
                **found.owner.columns,
                **found.values,
                "memory_peak_bytes": found.peak,
                "memory_limit_bytes": found.limit,
            }
            for key, found in sorted(self._found.items())
        ]
        largest = ("memory_peak_bytes", "memory_limit_bytes")
        add_rows(session, UsageRow, rows, key=_KEY, added=SUMS, largest=largest)
        add_rows(session, UsageTotal, self._totals(), key=_TOTAL_KEY, added=SUMS, changed=_NAMES)

    def _totals(self) -> list[dict[str, Any]]:
        uses: dict[tuple[UsageTotalKind, str], Use] = {}
        names: dict[tuple[UsageTotalKind, str], tuple[str | None, ...]] = {}
        for (environment_id, _, _), found in self._found.items():
            for key, named in _totals_of(environment_id, found.owner):
                uses[key] = uses.get(key, Use()) + found.use
                names[key] = named
        return [
            {
                **dict(zip(_TOTAL_KEY, key, strict=True)),
                **dict(zip(_NAMES, names[key], strict=True)),
                **{name: getattr(uses[key], name) for name in SUMS},
            }
            for key in sorted(uses)
        ]


def _totals_of(
    environment_id: str, owner: Owner
) -> Iterator[tuple[tuple[UsageTotalKind, str], tuple[str | None, ...]]]:
    """Yield the totals that a row is in, with their names: that of its team, where it has one."""
    yield (
        (UsageTotalKind.ENVIRONMENT, environment_id),
        (owner.environment, owner.project, owner.team),
    )
    if not owner.is_synthetic:
        yield (UsageTotalKind.TEAM, owner.team_id or ""), (owner.team, None, owner.team)
