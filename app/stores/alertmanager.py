"""The Alertmanager that sends alerts to the service: what it holds, and its silences (API v2)."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

from app.core.unreadable import UNREADABLE
from app.stores.http import Store, loads

SETTING = "VIBEBOX_ALERTMANAGER_URL"
_PATTERN = re.compile(r"[.*+?()\[\]{}^$\\]")
STATES = ("pending", "active", "expired")
T = TypeVar("T")


@dataclass(frozen=True)
class HeldAlert:
    """An alert that it has not seen resolved; `suppressed`: silenced or inhibited."""

    labels: Mapping[str, str] = field(hash=False)
    suppressed: bool


@dataclass(frozen=True)
class Matcher:
    """A condition of a silence on a label."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def holds(self, labels: Mapping[str, str]) -> bool | None:
        """Tell whether it does of an alert; None where its pattern is more than words and `|`.

        Alertmanager's patterns are not Python's, and may take Python for ever.
        """
        value = str(labels.get(self.name, ""))  # one that is not there is an empty one
        if not self.is_regex:
            return (value == self.value) is self.is_equal
        if _PATTERN.search(self.value):
            return None
        return (value in self.value.split("|")) is self.is_equal


@dataclass(frozen=True)
class Silence:
    """A silence; `state` is one of STATES."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    state: str

    def mutes(self, labels: Mapping[str, str]) -> bool:
        """Tell whether nobody is told of an alert with these labels because of it, as far as that
        can be known (see `Matcher.holds`)."""
        return self.state == "active" and all(one.holds(labels) for one in self.matchers)


class AlertmanagerStore:
    """Asks it; all raise StoreUnavailableError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def alerts(self, name: str) -> list[HeldAlert]:
        """Return the alerts of this name that it holds."""
        told = self._store.json("/api/v2/alerts", {"filter": f'alertname="{name}"'})
        return self._read(_alerts, told)

    def silences(self) -> list[Silence]:
        """Return the silences that are not over, those that end first before others."""
        told = self._store.json("/api/v2/silences", {})
        found = [one for one in self._read(_silences, told) if one.state != "expired"]
        return sorted(found, key=lambda one: (one.ends_at, one.id))

    def silence(
        self,
        matchers: Sequence[Matcher],
        starts_at: datetime,
        ends_at: datetime,
        created_by: str,
        comment: str,
    ) -> str:
        """Make a silence; return its id."""
        body = {
            "matchers": [
                {
                    "name": one.name,
                    "value": one.value,
                    "isRegex": one.is_regex,
                    "isEqual": one.is_equal,
                }
                for one in matchers
            ],
            "startsAt": starts_at.isoformat(),
            "endsAt": ends_at.isoformat(),
            "createdBy": created_by,
            "comment": comment,
        }
        answer = self._store.change("POST", "/api/v2/silences", body)
        return self._read(lambda told: str(loads(told)["silenceID"]), answer)

    def find(self, id: str) -> Silence | None:
        """Return a silence; None where there is no such one."""
        if not _is_id(id):
            return None
        told = self._store.json(f"/api/v2/silence/{quote(id, safe='')}", {}, missing={})
        return self._read(_silence, told) if told else None

    def end(self, id: str) -> bool:
        """End a silence; tell whether there was one."""
        path = f"/api/v2/silence/{quote(id, safe='')}"
        return self._store.change("DELETE", path, has_missing=True) is not None

    def _read(self, read: Callable[[Any], T], told: Any) -> T:
        try:
            return read(told)
        except UNREADABLE:
            raise self._store.strange() from None


def _is_id(text: str) -> bool:
    """Tell whether it is written as Alertmanager does: others it refuses and does not look for."""
    try:
        return str(UUID(text)) == text.lower()  # `UUID` also takes braces, and "urn:uuid:"
    except ValueError:
        return False


def _alerts(told: Any) -> list[HeldAlert]:
    return [
        HeldAlert(
            {str(name): str(value) for name, value in one["labels"].items()},
            one["status"]["state"] == "suppressed",
        )
        for one in told
    ]


def _silences(told: Any) -> list[Silence]:
    return [_silence(one) for one in told]


def _silence(one: Any) -> Silence:
    matchers = tuple(
        # What is older than 0.22 does not say `isEqual`.
        Matcher(
            str(it["name"]), str(it["value"]), bool(it["isRegex"]), it.get("isEqual") is not False
        )
        for it in one["matchers"]
    )
    state = str(one["status"]["state"])
    if state not in STATES:
        raise ValueError(state)
    return Silence(
        str(one["id"]),
        matchers,
        _moment(one["startsAt"]),
        _moment(one["endsAt"]),
        str(one["createdBy"]),
        str(one["comment"]),
        state,
    )


def _moment(told: str) -> datetime:
    return datetime.fromisoformat(told).astimezone(UTC)
