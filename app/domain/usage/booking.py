"""What lies between two readings of a run: a pure function of the last one and the new one.

Readings are totals since the run began, so that one which is missed costs nothing but the moment at
which something was used: the next has it. All times are of the clock of the engine's host, in
nanoseconds since 1970.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Self

from app.storage import UsagePeriod

_NS = 1_000_000_000
_HOUR = 3600 * _NS
_DAY = 24 * _HOUR
# Use whose moment is not known closer than this is booked by day: a month that nobody read would be
# 720 rows.
_BY_HOUR = 2 * _DAY
# A longer time than this between two readings is a clock that was set, as on a machine which has
# none of its own and begins in 1970: no time that anything ran.
_LONGEST = 3 * 366 * _DAY


@dataclass(frozen=True)
class Use:
    """What was used in some time: the sums of a row of the ledger, without whose it is."""

    running_ns: int = 0
    unread_ns: int = 0
    runs: int = 0
    unread_runs: int = 0
    cpu_ns: int = 0
    throttled_ns: int = 0
    memory_byte_seconds: int = 0
    oom_kills: int = 0
    network_rx_bytes: int = 0
    network_tx_bytes: int = 0
    block_read_bytes: int = 0
    block_write_bytes: int = 0
    volume_byte_seconds: int = 0
    layer_byte_seconds: int = 0

    def __add__(self, other: Self) -> Self:
        """Return the sum."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in SUMS}
        return type(self)(**sums)

    def part(self, begin: int, end: int, whole: int) -> Self:
        """Return the share of the time from `begin` to `end`, of `whole`.

        Shares that follow each other add up to all of it, to the last unit.
        """
        parts = {}
        for name in SUMS:
            value = getattr(self, name)
            parts[name] = value * end // whole - value * begin // whole
        return type(self)(**parts)


SUMS = tuple(field.name for field in fields(Use))
"""What adds up over rows."""

COUNTERS = (
    "cpu_ns",
    "throttled_ns",
    "network_rx_bytes",
    "network_tx_bytes",
    "block_read_bytes",
    "block_write_bytes",
)
"""What a reading has as totals since the start of the run."""


@dataclass(frozen=True)
class Totals:
    """What a run has used since its start, and what it holds, at the moment `read_at_ns`."""

    read_at_ns: int
    cpu_ns: int = 0
    throttled_ns: int = 0
    memory_bytes: int = 0
    memory_peak_bytes: int = 0
    oom_kills: int = 0
    network_rx_bytes: int = 0
    network_tx_bytes: int = 0
    block_read_bytes: int = 0
    block_write_bytes: int = 0


@dataclass(frozen=True)
class Booking:
    """What is to be added to one row: the use, and the largest memory seen in it."""

    period: UsagePeriod
    starts_at: datetime
    use: Use
    memory_peak_bytes: int


def book(before: Totals | None, after: Totals, began_ns: int, leapt_ns: int = 0) -> list[Booking]:
    """Return what was used between two readings of one run, by the hours in which it was.

    Args:
        before: What is booked already; None for a run of which nothing is.
        after: The new reading.
        began_ns: When the run began.
        leapt_ns: By how much the clock was set ahead in between.
    """
    first = before is None
    known = Totals(began_ns, memory_bytes=after.memory_bytes) if before is None else before
    since = _plausible(known.read_at_ns + leapt_ns, after.read_at_ns)
    elapsed = after.read_at_ns - since
    # A total that falls was counted anew, as where a network is taken away: not a use below zero.
    counted = {
        name: max(0, getattr(after, name) - getattr(known, name))
        for name in (*COUNTERS, "oom_kills")
    }
    # Between two readings memory is taken to have changed evenly.
    held = (known.memory_bytes + after.memory_bytes) * elapsed // (2 * _NS)
    use = Use(running_ns=elapsed, runs=int(first), memory_byte_seconds=held, **counted)
    # The kernel's peak is of the whole run: where it has not risen, it is not of this time.
    rose = after.memory_peak_bytes > known.memory_peak_bytes
    peak = after.memory_peak_bytes if rose else max(known.memory_bytes, after.memory_bytes)
    return _spread(use, peak, since, after.read_at_ns)


def book_end(before: Totals | None, ended_ns: int, began_ns: int, *, oom: bool) -> list[Booking]:
    """Return what is known of a run between its last reading and its end: that it ran.

    Args:
        before: What is booked already; None for a run that nobody read.
        ended_ns: When it ended, as Docker says.
        began_ns: When it began.
        oom: Whether it ended for want of memory, which is a kill that no reading may have seen.
    """
    since = _plausible(began_ns if before is None else before.read_at_ns, ended_ns)
    unread = ended_ns - since
    unseen = before is None
    seen_kills = 0 if before is None else before.oom_kills
    use = Use(
        running_ns=unread,
        unread_ns=unread,
        runs=int(unseen),
        unread_runs=int(unseen),
        oom_kills=int(oom and not seen_kills),
    )
    return _spread(use, 0, since, ended_ns) if use != Use() else []


def by_day(use: Use, since: int, until: int) -> list[Booking]:
    """Return use as that of whole days, by the part of it that lies in each."""
    return _spread(use, 0, _plausible(since, until), until, whole_days=True)


def _plausible(since: int, until: int) -> int:
    """Return since when time has passed; `until` where the clock was set in between."""
    return since if 0 <= until - since <= _LONGEST else until


def _spread(
    use: Use, peak: int, since: int, until: int, *, whole_days: bool = False
) -> list[Booking]:
    """Divide what was used over the hours, or days, from `since` to `until`, by their length."""
    elapsed = until - since
    if not elapsed:  # the clock was set
        return [Booking(UsagePeriod.HOUR, _moment(until - until % _HOUR), use, peak)]
    is_long = whole_days or elapsed > _BY_HOUR
    period, length = (UsagePeriod.DAY, _DAY) if is_long else (UsagePeriod.HOUR, _HOUR)
    found, begin = [], since
    while begin < until:
        start = begin - begin % length
        end = min(start + length, until)
        part = use.part(begin - since, end - since, elapsed)
        found.append(Booking(period, _moment(start), part, peak))
        begin = end
    return found


def _moment(ns: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ns // _NS)
