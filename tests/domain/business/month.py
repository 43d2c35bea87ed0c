"""A month of people who sign up, and what they do: a script with moments, drawn by chance.

Some moments lie on the borders: of a day, of a month, of the second week.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

BEGIN = datetime(2026, 1, 17, tzinfo=UTC)
DAYS = 31
WAYS = ("open", "open", "invitation", "invitation", "command_line")
_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@dataclass(order=True, frozen=True)
class Deed:
    """What one of them does at a moment; of two at once the lower number is first."""

    at: datetime
    who: int
    what: str


def script(random: Random, people: int) -> list[Deed]:
    """Return the month of so many people, in its order."""
    deeds = [deed for who in range(people) for deed in _life(random, who)]
    return sorted(deed for deed in deeds if deed.at < BEGIN + DAYS * _DAY)


def _life(random: Random, who: int) -> Iterator[Deed]:
    signed_up = BEGIN + random.random() * DAYS * _DAY
    if who % 10 == 0:  # the last moment of a day, also of January
        day = 14 if who == 0 else random.randrange(DAYS)
        signed_up = BEGIN + (day + 1) * _DAY - _TICK
    yield Deed(signed_up, who, random.choice(WAYS))
    at = signed_up
    for step in ("create", "start", random.choice(("terminal", "vscode"))):
        at += timedelta(seconds=random.expovariate(1 / random.choice((20, 600, 40_000))))
        if random.random() < 0.2:
            break
        yield Deed(at, who, step)
    for _ in range(random.randrange(5)):
        what = random.choice(("login", "login", "terminal", "vscode", "create", "start"))
        yield Deed(signed_up + random.random() ** 2 * 25 * _DAY, who, what)
    if who % 4 == 1:  # on a border of the second week
        week = timedelta(days=random.choice((7, 14)))
        yield Deed(signed_up + week - random.choice((0, 1)) * _TICK, who, "login")
    if who % 6 == 5:
        yield Deed(signed_up + random.random() * 10 * _DAY, who, "delete")
