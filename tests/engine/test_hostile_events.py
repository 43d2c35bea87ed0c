"""Events whose text a container's owner chose: read, bounded, and never in the way of others."""

import json
from typing import Any

import pytest

from app.engine import UNKNOWN, ContainerEvent
from app.engine.events import EventDecoder

ENVIRONMENT = "vibebox.environment"


def line(**changes: Any) -> bytes:
    attributes = {ENVIRONMENT: "e", "exitCode": "3"} | changes.pop("attributes", {})
    message = {
        "Type": "container",
        "Action": "die",
        "Actor": {"ID": "c", "Attributes": attributes},
        "timeNano": 17,
    }
    return json.dumps({**message, **changes}).encode() + b"\n"


GOOD = ContainerEvent("die", "c", "e", None, 3, 17)
ODD = ContainerEvent(UNKNOWN, "", None, None, None, 17)


@pytest.mark.parametrize(
    "odd",
    [
        b"no JSON\n",
        b"[]\n",
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        line(Actor=None),
        line(timeNano="soon"),
        line(timeNano=10**400)[:-1] + b"x\n",
        b'{"Action": "die"}\n',
    ],
    ids=lambda value: repr(value[:24]),
)
def test_odd_event_is_unknown_and_the_next_one_is_heard(odd: bytes) -> None:
    assert EventDecoder().feed(line() + odd + line()) == [GOOD, ODD, GOOD]


@pytest.mark.parametrize("chunk", [1 << 16, 1 << 22])
def test_event_of_any_size_is_passed_over(chunk: int) -> None:
    """An image's label of two million characters is in each event of its container."""
    large = line(attributes={"label": "x" * 2_000_000})
    stream = line() + large + line()
    decoder = EventDecoder()
    events = []
    for start in range(0, len(stream), chunk):
        events += decoder.feed(stream[start : start + chunk])
    assert events == [GOOD, ODD, GOOD]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("0", 0),
        ("255", 255),
        ("256", None),
        ("-1", None),
        ("banana", None),
        ("\u0663", None),
        ("9" * 5000, None),
        ("", None),
        (7, None),
        (None, None),
    ],
)
def test_exit_code_that_a_label_takes_the_place_of(said: Any, code: int | None) -> None:
    (event,) = EventDecoder().feed(line(attributes={"exitCode": said}))
    assert event.exit_code == code
