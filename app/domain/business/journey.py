"""What an account has come through, and what of that is counted. No database, no clock.

An entry of the audit log may be read again, and late ones come after others: each step keeps the
earliest moment, so that neither changes anything.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from app.storage import SessionType

WITHIN = (60, 300, 900, 3600, 14400, 86400, 604800)
"""Seconds from sign-up to the first usable shell by which accounts are counted."""

SUMS = (
    "signed_up",
    "environment",
    "started",
    "terminal",
    "vscode",
    "shell",
    "second_week",
    "then_started",
    "then_shell",
    "then_second_week",
    "shell_us",
    *(f"shell_within_{seconds}" for seconds in WITHIN),
)
"""What adds up over accounts: the columns of cohorts and totals."""

FUNNEL = ("signed_up", "environment", "then_started", "then_shell", "then_second_week")
"""The steps, each of those who came through all before it."""

WEEK = timedelta(days=7)
BITS = 62
"""Days that are known of an account: windows of 30 days are counted up to 31 days late."""
_US = timedelta(microseconds=1)
_EPOCH = date(1970, 1, 1)


class Way(StrEnum):
    """How an account came into being; add here what the details of `account.register` name anew."""

    OPEN = "open"
    INVITATION = "invitation"
    FIRST = "first"
    COMMAND_LINE = "command_line"
    UNKNOWN = "unknown"  # its entry is gone from the audit log, or names a way of a newer release


class Step(StrEnum):
    """What an account does for the first time."""

    ENVIRONMENT = "environment_at"
    STARTED = "started_at"
    TERMINAL = "terminal_at"
    VSCODE = "vscode_at"


@dataclass
class Journey:
    """What is known of one account; see `app.storage.BusinessAccount`."""

    account_id: str
    way: str
    signed_up_at: datetime
    environment_at: datetime | None = None
    started_at: datetime | None = None
    terminal_at: datetime | None = None
    vscode_at: datetime | None = None
    second_week_at: datetime | None = None
    active_day: int | None = None
    active_days: int = 0
    gone_at: datetime | None = None
    gone_entry: int | None = None
    is_synthetic: bool = False

    def act(self, at: datetime, step: Step | None) -> None:
        """Take in that the account did something; `step`: what that was, if it counts."""
        self._be_active(number_of(day_of(at)))
        if step is not None:
            self._first(step, at)
        if WEEK <= at - self.signed_up_at < 2 * WEEK:
            self._first("second_week_at", at)

    def _first(self, name: str, at: datetime) -> None:
        known = getattr(self, name)
        if known is None or at < known:
            setattr(self, name, at)

    def _be_active(self, day: int) -> None:
        if self.active_day is None:
            self.active_day = day
        ahead = day - self.active_day
        if ahead > 0:
            kept = self.active_days << ahead if ahead < BITS else 0
            self.active_days = kept & ((1 << BITS) - 1)
            self.active_day = day
        back = max(0, -ahead)
        if back < BITS:
            self.active_days |= 1 << back

    def counted(self) -> dict[str, int]:
        """Return what the account adds to each of `SUMS`: nothing where it is nobody's."""
        if self.is_synthetic:
            return dict.fromkeys(SUMS, 0)
        moments = [at for at in (self.terminal_at, self.vscode_at) if at is not None]
        shell_at = min(moments, default=None)
        # A clock that was set back in between makes no time below zero.
        took = None if shell_at is None else max(0, (shell_at - self.signed_up_at) // _US)
        started = self.environment_at is not None and self.started_at is not None
        shell = started and shell_at is not None
        sums = {
            "signed_up": True,
            "environment": self.environment_at is not None,
            "started": self.started_at is not None,
            "terminal": self.terminal_at is not None,
            "vscode": self.vscode_at is not None,
            "shell": shell_at is not None,
            "second_week": self.second_week_at is not None,
            "then_started": started,
            "then_shell": shell,
            "then_second_week": shell and self.second_week_at is not None,
            "shell_us": took or 0,
        }
        for seconds in WITHIN:
            sums[f"shell_within_{seconds}"] = took is not None and took <= seconds * 1_000_000
        return {name: int(value) for name, value in sums.items()}


def day_of(at: datetime) -> date:
    """Return the day of a moment, in UTC."""
    return at.astimezone(UTC).date()


def number_of(day: date) -> int:
    """Return the number of a day since 1970, which databases can calculate with."""
    return (day - _EPOCH).days


def step_of(action: str, details: dict[str, Any]) -> Step | None:
    """Return which first step an entry of the audit log may be."""
    if action == "environment.create":
        return Step.ENVIRONMENT
    if action == "environment.start":
        return Step.STARTED
    if action == "session.open":
        server = details.get("type") == SessionType.VSCODE_SERVER
        return Step.VSCODE if server else Step.TERMINAL
    return None


def way_of(action: str, details: dict[str, Any]) -> Way | None:
    """Return how an entry of the audit log made an account; None where it made none."""
    if action == "account.create":
        return Way.COMMAND_LINE
    if action != "account.register":
        return None
    try:
        return Way(details.get("way", ""))
    except ValueError:
        return Way.UNKNOWN
