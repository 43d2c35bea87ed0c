"""Series of what teams and environments use, which a scrape shows only where it asks for them.

Their labels are as many as there are teams and environments, so they are no families of the
registry: the plain scrape has none of them, whatever its size. They are written here as text, since
the client library's encoder takes ten times as long for the same. Numbers are the ledger's totals,
which never fall while what they are about exists.

At most so many of each are shown, in an order that does not change with what they use, so that no
counter comes and goes. How many are left out is a series as well.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Row, and_, func, select

from app.core.errors import StorageBusyError
from app.core.single_flight import DeadlineExceededError, SingleFlight
from app.metrics import team_series
from app.metrics.team_series import TeamTerms
from app.storage import SYNTHETIC, Database, Environment, Team, UsageTotal, UsageTotalKind
from prefork_metrics.exposition import Encoding
from prefork_metrics.sqlalchemy import UNMEASURED


class Part(StrEnum):
    """What `collect[]` may ask for."""

    TEAMS = "teams"
    ENVIRONMENTS = "environments"


class _Family(NamedTuple):
    """A counter of both parts: its name without what it is of, its column, and its unit's share."""

    name: str
    help: str
    column: str
    divisor: float = 1


_NS = 1_000_000_000
FAMILIES = (
    _Family("cpu_seconds", "CPU time used.", "cpu_ns", _NS),
    _Family("cpu_throttled_seconds", "Time kept from the CPU by the limit.", "throttled_ns", _NS),
    _Family("memory_byte_seconds", "Memory held, times seconds.", "memory_byte_seconds"),
    _Family("network_received_bytes", "Bytes received.", "network_rx_bytes"),
    _Family("network_sent_bytes", "Bytes sent.", "network_tx_bytes"),
    _Family("block_read_bytes", "Bytes read from disks.", "block_read_bytes"),
    _Family("block_written_bytes", "Bytes written to disks.", "block_write_bytes"),
    _Family("volume_byte_seconds", "Bytes in volumes, times seconds.", "volume_byte_seconds"),
    _Family("layer_byte_seconds", "Bytes in writable layers, times seconds.", "layer_byte_seconds"),
    _Family("running_seconds", "Time that containers ran.", "running_ns", _NS),
    _Family("unread_seconds", "The part of it whose use nobody could read.", "unread_ns", _NS),
    _Family("oom_kills", "Kills for want of memory.", "oom_kills"),
)
"""Counters; each has `vibebox_team_` or `vibebox_environment_` before it and `_total` behind."""
_COLUMNS = [getattr(UsageTotal, family.column) for family in FAMILIES]
_SYNTHETIC = select(*_COLUMNS).where(
    UsageTotal.kind == UsageTotalKind.ENVIRONMENT, UsageTotal.id == SYNTHETIC
)
_BY_SYNTHETIC = "By synthetic accounts, in no team's. See docs/usage.md."
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class _Found(NamedTuple):
    """The rows of one part, and how many were left out."""

    labels: Sequence[str]
    rows: Sequence[Row[Any]]
    left_out: int
    more: Sequence[str] = ()
    """Lines of further families."""
    synthetic: Row[Any] | None = None
    """What synthetic accounts have used, which is in no row; None where they have not."""


class UsageSeries:
    """Reads and writes them. One read of a part at a time, which all scrapes share."""

    def __init__(self, database: Database, deadline: float, most: int, terms: TeamTerms) -> None:
        """`deadline`: seconds that a scrape waits; `most`: of teams, and of environments."""
        self._database = database
        self._terms = terms
        self._deadline = deadline
        self._most = most
        self._reads = {
            Part.TEAMS: SingleFlight("team-series", self._teams),
            Part.ENVIRONMENTS: SingleFlight("environment-series", self._environments),
        }

    def render(self, parts: Sequence[Part], accept: str) -> tuple[bytes, str]:
        """Return the text of these parts, and its type by an Accept header.

        Raises: StorageError, StorageBusyError among them where the deadline has passed.
        """
        encoding = Encoding(accept, protobuf=False)
        lines: list[str] = []
        for part in sorted(set(parts)):
            try:
                found = self._reads[part].begin().result(self._deadline)
            except DeadlineExceededError as error:
                raise StorageBusyError from error
            lines += _text(part, found, encoding.openmetrics)
        if encoding.openmetrics:
            lines.append("# EOF")
        return ("\n".join(lines) + "\n").encode(), encoding.content_type

    def close(self) -> None:
        """End the threads that read."""
        for read in self._reads.values():
            read.close()

    def _teams(self) -> _Found:
        of_team = UsageTotal.kind == UsageTotalKind.TEAM
        # Those that are gone last: their totals stay, and however many there were, they take no
        # place of one that there is. Of no team are those of accounts, all together.
        gone = (UsageTotal.id != "") & Team.id.is_(None)
        query = (
            select(UsageTotal.id, func.coalesce(Team.name, UsageTotal.name), *_COLUMNS)
            .outerjoin(Team, Team.id == UsageTotal.id)
            .where(of_team)
            .order_by(gone, UsageTotal.id)
        )
        count = select(func.count()).select_from(UsageTotal).where(of_team)
        found = self._read(("team_id", "team"), query, count)
        with self._database.reading() as session:
            session.connection(execution_options=UNMEASURED)
            return found._replace(
                more=team_series.lines(session, self._terms, self._most),
                synthetic=session.execute(_SYNTHETIC).one_or_none(),
            )

    def _environments(self) -> _Found:
        query = (
            select(Environment.id, UsageTotal.name, UsageTotal.project, UsageTotal.team, *_COLUMNS)
            .join(
                UsageTotal,
                and_(
                    UsageTotal.id == Environment.id,
                    UsageTotal.kind == UsageTotalKind.ENVIRONMENT,
                ),
            )
            .order_by(Environment.created_at, Environment.id)
        )
        count = select(func.count()).select_from(query.order_by(None).subquery())
        return self._read(("environment_id", "environment", "project", "team"), query, count)

    def _read(self, labels: Sequence[str], query: Any, count: Any) -> _Found:
        with self._database.reading() as session:
            session.connection(execution_options=UNMEASURED)
            rows = session.execute(query.limit(self._most)).all()
            number = session.scalar(count) or 0
        return _Found(labels, rows, number - len(rows))


def _text(part: Part, found: _Found, openmetrics: bool) -> Iterator[str]:
    thing = part.removesuffix("s")
    width = len(found.labels)
    labelled = [(_labels(found.labels, row[:width]), row[width:]) for row in found.rows]
    for number, family in enumerate(FAMILIES):
        name = f"vibebox_{thing}_{family.name}_total"
        yield from _head(name, f"{family.help} See docs/usage.md.", "counter", openmetrics)
        divisor = family.divisor
        for labels, values in labelled:
            yield f"{name}{labels} {float(values[number]) / divisor!r}"
    left_out = f"vibebox_{thing}_series_left_out"
    yield from _head(
        left_out, f"How many {part} are beyond the cap and not shown.", "gauge", openmetrics
    )
    yield f"{left_out} {float(found.left_out)!r}"
    if found.synthetic is not None:
        for family, value in zip(FAMILIES, found.synthetic, strict=True):
            name = f"vibebox_synthetic_{family.name}_total"
            yield from _head(name, f"{family.help} {_BY_SYNTHETIC}", "counter", openmetrics)
            yield f"{name} {float(value) / family.divisor!r}"
    yield from found.more


def _head(name: str, text: str, kind: str, openmetrics: bool) -> Iterator[str]:
    shown = name.removesuffix("_total") if openmetrics else name
    yield f"# HELP {shown} {text}"
    yield f"# TYPE {shown} {kind}"


def _labels(names: Sequence[str], values: Sequence[str | None]) -> str:
    pairs = (
        f'{name}="{(value or "").translate(_ESCAPES)}"'
        for name, value in zip(names, values, strict=True)
    )
    return "{" + ",".join(pairs) + "}"
