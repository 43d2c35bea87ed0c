"""The numbers of the business once more: from the audit log alone, by nothing of the product.

It has every entry in memory and asks it each question anew, which no product could afford.
"""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import text

from app.storage import Database

SHELLS = (60, 300, 900, 3600, 14400, 86400, 604800)


class Reckoning:
    """What the audit log says."""

    def __init__(self, database: Database) -> None:
        columns = "at, actor_id, action, target_id, details"
        with database.reading() as session:
            rows = session.execute(text(f"SELECT {columns} FROM audit_entries")).all()
        self.log = [(_moment(row[0]), row[1], row[2], row[3], _details(row[4])) for row in rows]
        self.born = {
            target: (at, details.get("way", "command_line"))
            for at, _, action, target, details in self.log
            if action in ("account.register", "account.create")
        }
        self.died = {
            target: at for at, _, action, target, _ in self.log if action == "account.delete"
        }

    def first(self, who: str, *actions: str, kinds: tuple[str, ...] = ()) -> datetime | None:
        """Return when somebody did one of these for the first time."""
        moments = [
            at
            for at, actor, action, _, details in self.log
            if actor == who and action in actions and (not kinds or details["type"] in kinds)
        ]
        return min(moments) if moments else None

    def shell(self, who: str) -> datetime | None:
        return self.first(who, "session.open")

    def came_back(self, who: str) -> bool:
        born = self.born[who][0]
        since, until = born + timedelta(7), born + timedelta(14)
        return any(actor == who and since <= at < until for at, actor, *_ in self.log)

    def milestones(self, who: str) -> list[str]:
        """Return all that somebody has come to."""
        found = {
            "environment": self.first(who, "environment.create"),
            "started": self.first(who, "environment.start"),
            "terminal": self.first(who, "session.open", kinds=("tmux", "shell")),
            "vscode": self.first(who, "session.open", kinds=("vscode_server",)),
            "shell": self.shell(who),
            "second_week": self.came_back(who),
        }
        return [name for name, moment in found.items() if moment]

    def cohorts(self) -> dict[tuple[date, str], Counter[str]]:
        """Return the sums by day and way of sign-up."""
        found: dict[tuple[date, str], Counter[str]] = {}
        for who, (born, way) in self.born.items():
            sums = found.setdefault((born.date(), way), Counter())
            reached = self.milestones(who)
            sums.update(["signed_up", *reached])
            for end in ("started", "shell", "second_week"):
                steps = ["environment", "started", "shell", "second_week"]
                if set(steps[: steps.index(end) + 1]) <= set(reached):
                    sums[f"then_{end}"] += 1
            shell = self.shell(who)
            if shell is not None:
                took = max(timedelta(0), shell - born)
                sums["shell_us"] += round(took.total_seconds() * 1_000_000)
                for seconds in SHELLS:
                    sums[f"shell_within_{seconds}"] += took <= timedelta(seconds=seconds)
        return found

    def active(self, day: date, days: int) -> int:
        """Return who did something on one of the days that end with `day`, and was there then."""
        end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(1)
        window = {day - timedelta(back) for back in range(days)}
        actors = {actor for at, actor, *_ in self.log if at.date() in window and actor in self.born}
        return sum(1 for who in actors if self.died.get(who, end) >= end)

    def second_week(self, day: date) -> tuple[int, int]:
        """Return the sign-ups whose second week was over by the end of the day, and returns."""
        over = [who for who, (born, _) in self.born.items() if born.date() <= day - timedelta(14)]
        return len(over), sum(self.came_back(who) for who in over)


def _moment(value: Any) -> datetime:
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    assert isinstance(value, datetime)
    return value.astimezone(UTC)


def _details(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
