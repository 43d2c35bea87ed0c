"""How people come to use the service: of each account its first moments, of all of them sums.

What is kept of an account goes with it; the sums name nobody and stay.
"""

from datetime import date, datetime

from sqlalchemy import BigInteger, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.models.base import Base


class BusinessAccount(Base):
    """What the audit log says of one account: each moment is that of the first such entry.

    No key refers to the account: the leading agent reads the entry of its deletion, and drops the
    row once the day is counted.

    Attributes: way (how it signed up); second_week_at (of the first act 7 to 14 days after
    sign-up); active_day (the last day with an act, UTC, in days since 1970); active_days (a bit for
    each day back from that one: the lowest is `active_day` itself); gone_at and gone_entry (when
    the account was deleted, and the entry that says so); is_synthetic (it is counted nowhere).
    """

    __tablename__ = "business_accounts"
    __table_args__ = (Index(None, "gone_entry"),)

    account_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    way: Mapped[str] = mapped_column(String(32))
    signed_up_at: Mapped[datetime]
    environment_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    terminal_at: Mapped[datetime | None]
    vscode_at: Mapped[datetime | None]
    second_week_at: Mapped[datetime | None]
    active_day: Mapped[int | None]
    active_days: Mapped[int] = mapped_column(BigInteger, default=0)
    gone_at: Mapped[datetime | None]
    gone_entry: Mapped[int | None] = mapped_column(BigInteger)
    is_synthetic: Mapped[bool] = mapped_column(default=False, server_default=false())


class _Sums:
    """Numbers of accounts; see `app.domain.business.journey`."""

    signed_up: Mapped[int] = mapped_column(BigInteger, default=0)
    environment: Mapped[int] = mapped_column(BigInteger, default=0)
    started: Mapped[int] = mapped_column(BigInteger, default=0)
    terminal: Mapped[int] = mapped_column(BigInteger, default=0)
    vscode: Mapped[int] = mapped_column(BigInteger, default=0)
    shell: Mapped[int] = mapped_column(BigInteger, default=0)
    second_week: Mapped[int] = mapped_column(BigInteger, default=0)
    # Of those, who came through all the steps before.
    then_started: Mapped[int] = mapped_column(BigInteger, default=0)
    then_shell: Mapped[int] = mapped_column(BigInteger, default=0)
    then_second_week: Mapped[int] = mapped_column(BigInteger, default=0)
    # From sign-up to the first usable shell: microseconds in all, and accounts by seconds.
    shell_us: Mapped[int] = mapped_column(BigInteger, default=0)
    shell_within_60: Mapped[int] = mapped_column(BigInteger, default=0)
    shell_within_300: Mapped[int] = mapped_column(BigInteger, default=0)
    shell_within_900: Mapped[int] = mapped_column(BigInteger, default=0)
    shell_within_3600: Mapped[int] = mapped_column(BigInteger, default=0)
    shell_within_14400: Mapped[int] = mapped_column(BigInteger, default=0)
    shell_within_86400: Mapped[int] = mapped_column(BigInteger, default=0)
    shell_within_604800: Mapped[int] = mapped_column(BigInteger, default=0)


class BusinessCohort(_Sums, Base):
    """The accounts that signed up on one day (UTC) in one way, those that are gone included."""

    __tablename__ = "business_cohorts"

    day: Mapped[date] = mapped_column(primary_key=True)
    way: Mapped[str] = mapped_column(String(32), primary_key=True)


class BusinessTotal(_Sums, Base):
    """All that ever signed up in one way: what a scrape reads."""

    __tablename__ = "business_totals"

    way: Mapped[str] = mapped_column(String(32), primary_key=True)


class BusinessDay(Base):
    """A day (UTC), counted at its end, or up to now where it is not `finished`.

    Attributes: active_1, active_7, active_30 (accounts with an act on that day, or within so many
    that end with it; of those that were there at its end); second_week_over (sign-ups whose second
    week had passed by its end) and returned (how many of those came back in it).
    """

    __tablename__ = "business_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    finished: Mapped[bool]
    active_1: Mapped[int] = mapped_column(BigInteger)
    active_7: Mapped[int] = mapped_column(BigInteger)
    active_30: Mapped[int] = mapped_column(BigInteger)
    second_week_over: Mapped[int] = mapped_column(BigInteger)
    returned: Mapped[int] = mapped_column(BigInteger)


class BusinessCursor(Base):
    """How far the audit log is read; one row.

    Entries of transactions that end late appear below others: so those of the last minutes are
    read again. Attributes: older (all up to there is read for good), newer (what becomes `older`
    next), turned_at (when it was last moved), complete (whether the log was once read to its end,
    and accounts that it does not name were added), read_at (of the last round).
    """

    __tablename__ = "business_cursor"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    older: Mapped[int] = mapped_column(BigInteger)
    newer: Mapped[int] = mapped_column(BigInteger)
    turned_at: Mapped[datetime]
    complete: Mapped[bool]
    read_at: Mapped[datetime]
