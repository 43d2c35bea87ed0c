"""Trades of refresh tokens, where the real service does not act out what goes wrong."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from app.cli.client.credentials import LoginBearer
from app.cli.client.errors import AwayError, ProblemError
from app.cli.client.store import Login, Store
from app.cli.client.transport import Transport

URL = "http://127.0.0.1:3000"
ENDED = Login("ada@example.org", "vbx_at_1", "vbx_rt_1", 0.0)
PAIR = {"access_token": "vbx_at_2", "refresh_token": "vbx_rt_2", "expires_in": 900}


class Trades:
    """The service, as far as it trades tokens."""

    url = URL

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer
        self.used: list[str] = []

    def send(self, _method: str, _path: str, *, body: dict[str, str]) -> Any:
        self.used.append(body["refresh_token"])
        return self.answer()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    with store.locked():
        store.put(URL, ENDED)
    return store


def bearer(store: Store, trades: Trades) -> LoginBearer:
    return LoginBearer(store, cast(Transport, trades))


def test_ctrl_c_waits_until_the_new_tokens_are_stored(store: Store) -> None:
    def interrupted() -> Any:
        signal.raise_signal(signal.SIGINT)
        return PAIR

    with pytest.raises(KeyboardInterrupt):
        bearer(store, Trades(interrupted)).token()

    login = store.get(URL)
    assert login is not None and login.refresh_token == "vbx_rt_2"
    trades = Trades(lambda: PAIR)
    assert bearer(store, trades).token() == "vbx_at_2" and trades.used == []


@pytest.mark.parametrize(
    "error", [AwayError("No answer."), ProblemError({"type": "x:storage-unavailable"}, 503)]
)
def test_trade_that_fails_keeps_the_login(store: Store, error: Exception) -> None:
    def fail() -> Any:
        raise error

    with pytest.raises(type(error)):
        bearer(store, Trades(fail)).token()

    assert store.get(URL) == ENDED
    with store.locked(0.1):
        pass


def test_token_that_another_command_got_is_taken(store: Store) -> None:
    trades = Trades(lambda: PAIR)
    first, second = bearer(store, trades), bearer(store, trades)

    assert first.renewed("vbx_at_1") == second.renewed("vbx_at_1") == "vbx_at_2"
    assert trades.used == ["vbx_rt_1"]
