"""Signals: senders know no receiver, and no receiver harms a sender."""

from typing import Any

import pytest
from blinker import Signal

from app.core import signals


@pytest.fixture
def signal() -> Signal:
    return Signal()


def test_every_receiver_is_told(signal: Signal) -> None:
    told: list[Any] = []

    def one(_sender: Any, **arguments: Any) -> None:
        told.append(("one", arguments))

    def two(_sender: Any, **arguments: Any) -> None:
        told.append(("two", arguments))

    signal.connect(one)
    signal.connect(two)

    signals.emit(signal, method="password", success=True)

    arguments = {"method": "password", "success": True}
    assert sorted(told, key=str) == [("one", arguments), ("two", arguments)]


def test_receiver_that_fails_is_logged_and_forgotten(
    signal: Signal, caplog: pytest.LogCaptureFixture
) -> None:
    told = []

    def broken(_sender: Any, **_arguments: Any) -> None:
        raise RuntimeError("broken receiver")

    def fine(_sender: Any, **_arguments: Any) -> None:
        told.append(1)

    signal.connect(broken)
    signal.connect(fine)

    signals.emit(signal, check="database")

    assert told == [1]
    assert "broken receiver" in caplog.text


def test_nobody_needs_to_listen(signal: Signal) -> None:
    signals.emit(signal, anything=1)
