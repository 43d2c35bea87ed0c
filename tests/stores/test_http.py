"""A question to a store is bounded in time and size, and says of a failure whose it is."""

import threading
import time

import pytest

from app.core import deadline
from app.core.errors import StoreUnavailableError
from app.stores.http import Store
from tests.backends.programs import free_port, wait_until
from tests.support.stand_in import StandIn

SETTING = "VIBEBOX_TRACE_STORE_URL"


def store(url: str, token: str | None = None, most: int = 1000) -> Store:
    return Store(SETTING, url, token, most)


def trouble(asked: Store) -> str:
    with pytest.raises(StoreUnavailableError) as caught, deadline.within(1):
        asked.json("/x", {})
    assert caught.value.extensions == {"setting": SETTING}
    assert SETTING in caught.value.detail
    return caught.value.detail


def test_answer_of_a_path_below_the_address(peer: StandIn) -> None:
    peer.answers["/below/x"] = lambda parameters: parameters

    assert store(f"{peer.url}/below/").json("/x", {"q": "a b&c"}) == {"q": "a b&c"}


@pytest.mark.parametrize(
    ("login", "token", "sent"),
    [
        ("", None, None),
        ("", "secret", "Bearer secret"),
        ("us%40er:pass@", None, "Basic dXNAZXI6cGFzcw=="),
        ("user:pass@", "secret", "Bearer secret"),
    ],
)
def test_credentials(peer: StandIn, login: str, token: str | None, sent: str | None) -> None:
    peer.answers["/x"] = lambda _: {}
    store(peer.url.replace("://", f"://{login}"), token).json("/x", {})

    assert peer.headers[0].get("Authorization") == sent


@pytest.mark.parametrize("status", [301, 302, 401, 403, 500])
def test_other_status_is_followed_nowhere(peer: StandIn, status: int) -> None:
    peer.answers["/x"] = lambda _: {}
    peer.status = status

    assert str(status) in trouble(store(peer.url))
    assert [path for path, _ in peer.asked] == ["/x"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 900, b"\xff{}"])
def test_what_is_no_json_is_told(peer: StandIn, body: bytes) -> None:
    peer.answers["/x"] = lambda _: body

    assert "look at the address" in trouble(store(peer.url))


def test_half_of_a_pair_is_replaced(peer: StandIn) -> None:
    peer.answers["/x"] = lambda _: rb'["\ud83d\ude00", "a\ud800b", "\\ud800"]'

    assert store(peer.url).json("/x", {}) == [
        "\N{GRINNING FACE}",
        "a\N{REPLACEMENT CHARACTER}b",
        r"\ud800",
    ]


def test_answer_without_end_is_left(peer: StandIn) -> None:
    peer.answers["/x"] = lambda _: b"x" * 1001

    assert "more than is read" in trouble(store(peer.url))


def test_nobody_there_is_told_without_the_address() -> None:
    said = trouble(store(f"http://user:pass@127.0.0.1:{free_port()}"))

    assert "does not answer" in said and "pass" not in said


def test_dripping_answer_ends_at_the_deadline_and_leaves_no_thread(peer: StandIn) -> None:
    peer.answers["/x"] = lambda _: b"x" * 900
    peer.drips = True
    began = time.monotonic()

    assert "in time" in trouble(store(peer.url))
    assert time.monotonic() - began < 3
    wait_until(lambda: not any(one.name == "store" for one in threading.enumerate()), 5)


def test_missing_is_an_answer_where_it_may_be(peer: StandIn) -> None:
    assert store(peer.url).json("/x", {}, missing=[]) == []
    assert "404" in trouble(store(peer.url))
