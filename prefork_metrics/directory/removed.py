"""Series that were removed: what is not shown of what the living have counted.

The file format has no way to take an entry back, and a process that counts never looks whether it
should not. So at a removal the archive drops the series, and beside the archive stands what each
living member had counted until then. A scrape takes that off. While a member has counted nothing
since, the series is not shown at all; when the member has ended, what it counted since goes into
the archive, and its note goes. Both lie under the name of a generation: they come and go with the
manifest, whoever is killed in between (see `archive`).

A total (counter, histogram, summary) that is counted again begins at 0; a gauge is what it is set
to. An Info or an Enum shows again when it is set again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from prefork_metrics.directory import disk
from prefork_metrics.directory.codec import Entry

KIND = "removed"

Before = Mapping[str, tuple[float, float]]
"""By key: value and time of an entry when its series was removed."""

Natives = Mapping[str, Mapping[int, float]]

Match = Callable[[str, Mapping[str, str]], bool]
"""Tells by the name of a family and the labels of a series whether it is to be removed."""


@dataclass(frozen=True)
class Removed:
    """What is not shown, of each living member, and of states until when; `times` are those at
    which a member's entries were removed, by key: what counts since then began at that time;
    `natives` are the counts of native buckets until then, by key and place."""

    members: Mapping[str, Before] = field(default_factory=dict)
    states: Mapping[str, float] = field(default_factory=dict)
    times: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    natives: Mapping[str, Natives] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.members or self.states)

    def of(self, member: str) -> Before:
        """Return what is not shown of a member."""
        return self.members.get(member, {})

    def encoded(self) -> bytes:
        """Return the content of the file that says so."""
        told = {
            "members": self.members,
            "states": self.states,
            "times": self.times,
            "natives": self.natives,
        }
        return json.dumps(told).encode()


NOTHING = Removed()


def read(sides: Iterable[Path]) -> Removed:
    """Return what stands beside the archive, `sides` being what lies there.

    A file that cannot be read costs no more than that removed series show again.
    """
    for path in sides:
        if path.name.startswith(f"{KIND}_"):
            with suppress(OSError):
                status = path.stat()
                return _read(path, status.st_ino, status.st_mtime_ns)
    return NOTHING


@lru_cache(maxsize=2)
def _read(path: Path, _inode: int, _modified: int) -> Removed:
    # Never changed once it is there: a scrape need not parse it each time.
    try:
        fields = json.loads(disk.read(path))
        members = {
            str(member): {str(key): (float(one), float(two)) for key, (one, two) in before.items()}
            for member, before in fields["members"].items()
        }
        states = _times(fields["states"])
        # A release before this does not tell these.
        times = {str(member): _times(found) for member, found in fields.get("times", {}).items()}
        natives = {
            str(member): {
                str(key): {int(place): float(number) for place, number in counts.items()}
                for key, counts in found.items()
            }
            for member, found in fields.get("natives", {}).items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return NOTHING
    return Removed(members, states, times, natives)


def _times(found: Mapping[str, float]) -> dict[str, float]:
    return {str(key): float(time) for key, time in found.items()}


def matches(key: str, match: Match) -> bool:
    """Tell whether an entry belongs to a series that is to be removed."""
    family, labels = _series(key)
    return match(family, dict(labels))


def groups(before: Before) -> Iterator[list[str]]:
    """Yield the keys that make one series: of a histogram all buckets, sum and count."""
    by_series: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for key in before:
        by_series.setdefault(_series(key), []).append(key)
    yield from by_series.values()


def since(
    entries: list[Entry], before: Before, times: Mapping[str, float], *, totals: bool
) -> list[Entry]:
    """Return what a member has counted since, where `before` says what it had counted, and `times`
    when that was.

    totals: the entries are added up; what was before is then an entry of its own, below zero. Their
    times are their starts.
    """
    if not before:
        return entries
    by_key = {entry.key: entry for entry in entries}
    hidden = {
        key
        for group in groups(before)
        if all(_is_unchanged(by_key.get(key), before[key]) for key in group)
        for key in group
    }
    kept = [entry for entry in entries if entry.key not in hidden]
    if totals:
        kept = [entry._replace(timestamp=times.get(entry.key, entry.timestamp)) for entry in kept]
        kept += [
            Entry(key, -value, times.get(key, by_key[key].timestamp))
            for key, (value, _) in before.items()
            if key in by_key and key not in hidden
        ]
    return kept


def _is_unchanged(entry: Entry | None, before: tuple[float, float]) -> bool:
    return entry is None or (entry.value, entry.timestamp) == before


@lru_cache(maxsize=4096)
def _series(key: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the family of a key, and its labels without that of a bucket."""
    family, _, labels, _ = json.loads(key)
    return family, tuple(sorted((name, text) for name, text in labels.items() if name != "le"))
