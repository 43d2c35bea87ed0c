"""What is read of an Alertmanager, and what of one that answers what none would."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.core.errors import StoreUnavailableError
from app.stores.alertmanager import SETTING, AlertmanagerStore, Matcher, Silence
from app.stores.http import Store
from tests.support.stand_in import StandIn

PATH = "/api/v2/silences"
SILENCE: dict[str, Any] = {
    "id": "1",
    "matchers": [{"name": "alertname", "value": "x", "isRegex": False}],
    "startsAt": "2030-01-31T12:00:00.123456789Z",
    "endsAt": "2030-01-31T14:00:00+02:00",
    "createdBy": "ada",
    "comment": "",
    "status": {"state": "active"},
}


@pytest.fixture
def peer() -> Iterator[StandIn]:
    with closing(StandIn()) as peer:
        yield peer


def test_silence_is_read(peer: StandIn) -> None:
    peer.answers[PATH] = lambda _: [SILENCE, {**SILENCE, "status": {"state": "expired"}}]
    (found,) = AlertmanagerStore(Store(SETTING, peer.url)).silences()
    assert found.matchers == (Matcher("alertname", "x"),)
    assert found.starts_at == datetime(2030, 1, 31, 12, 0, 0, 123456, UTC)
    assert found.ends_at == datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": {"state": "asleep"}},
        {"status": None},
        {"endsAt": "9999-12-31T23:59:59-01:00"},
        {"endsAt": 7},
        {"matchers": 7},
        {"matchers": [{"name": "x"}]},
    ],
)
def test_strange_silence_is_told(peer: StandIn, changes: dict[str, Any]) -> None:
    peer.answers[PATH] = lambda _: [{**SILENCE, **changes}]
    with pytest.raises(StoreUnavailableError, match="does not speak as one of its kind"):
        AlertmanagerStore(Store(SETTING, peer.url)).silences()


@pytest.mark.parametrize(
    ("matcher", "holds"),
    [
        (Matcher("a", "x"), True),
        (Matcher("a", "y"), False),
        (Matcher("a", "y", is_equal=False), True),
        (Matcher("b", ""), True),
        (Matcher("a", "w|x", is_regex=True), True),
        (Matcher("a", "w|x", is_regex=True, is_equal=False), False),
        (Matcher("a", "xy", is_regex=True), False),
        (Matcher("a", "x.*", is_regex=True), None),
    ],
)
def test_silence_is_known_to_mute_what_it_names(matcher: Matcher, holds: bool | None) -> None:
    labels = {"a": "x"}
    assert matcher.holds(labels) is holds
    moment = datetime(2030, 1, 31, tzinfo=UTC)
    silence = Silence("1", (Matcher("a", "x"), matcher), moment, moment, "ada", "", "active")
    assert silence.mutes(labels) is bool(holds)
    assert not replace(silence, state="pending").mutes(labels)


def test_path_that_makes_no_silence_is_told(peer: StandIn) -> None:
    moment = datetime(2030, 1, 31, tzinfo=UTC)
    with pytest.raises(StoreUnavailableError, match="status 404; look at the address"):
        AlertmanagerStore(Store(SETTING, peer.url)).silence([], moment, moment, "ada", "")
