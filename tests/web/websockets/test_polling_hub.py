"""Who watches with others sees the same, once, and delays nobody."""

import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from app.core.errors import EnvironmentNotFoundError, StorageUnavailableError, VibeBoxError
from app.web.websockets.channel import Channel
from app.web.websockets.polling_hub import Observation, PollingHub, Source, View
from app.web.websockets.wakeup import Wakeup
from tests.backends.programs import wait_until
from tests.web.websockets.support import Clock

PAUSE = 0.01


class Weather(Source[str]):
    """What is seen is what the test says; `error` breaks every look."""

    def __init__(self) -> None:
        self.now = "dry"
        self.refused: dict[str, VibeBoxError] = {}
        self.error: Exception | None = None
        self.looks = 0
        self.whos: Collection[str] = ()
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def look(self, whos: Collection[str]) -> Observation[str]:
        now = self.now
        self.begun.set()
        assert self.go_on.wait(10)
        self.looks += 1
        self.whos = whos
        if self.error is not None:
            raise self.error
        return Observation(now, self.refused)


class Seat:
    """A viewer with a channel to nobody in particular."""

    def __init__(self, view: View[str], channel: Channel) -> None:
        self.view = view
        self.channel = channel

    def next(self) -> str | None:
        return self.view.next(self.channel)


@pytest.fixture
def shutdown_signal() -> Iterator[Wakeup]:
    with closing(Wakeup()) as wakeup:
        yield wakeup


@pytest.fixture
def hub() -> PollingHub:
    return PollingHub(PAUSE)


Take = Callable[..., Seat]


@pytest.fixture
def take(hub: PollingHub, shutdown_signal: Wakeup) -> Iterator[Take]:
    """Takes a seat; all are given up at the end, after which no thread is left."""
    with ExitStack() as stack:

        def take(weather: Weather, who: str = "ada") -> Seat:
            return stack.enter_context(seat(hub, shutdown_signal, weather, who))

        yield take


@contextmanager
def seat(
    hub: PollingHub, shutdown_signal: Wakeup, weather: Weather, who: str, place: str = "here"
) -> Iterator[Seat]:
    ours, theirs = socket.socketpair()
    with ours, theirs, hub.watching(place, who, weather) as view:
        yield Seat(view, Channel(ours, shutdown_signal))


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "hub"]


def test_all_see_what_is_new_and_one_looks(take: Take) -> None:
    weather = Weather()
    seats = [take(weather, who) for who in ("ada", "ada", "bob")]
    assert [one.next() for one in seats] == ["dry"] * 3
    assert set(weather.whos) == {"ada", "bob"}, "asked for each person, not for each seat"
    weather.now = "wet"
    assert [one.next() for one in seats] == ["wet"] * 3
    assert threads() == ["hub"]


def test_nothing_new_wakes_nobody(take: Take) -> None:
    weather = Weather()
    one = take(weather)
    assert one.next() == "dry"
    looks = weather.looks
    while weather.looks < looks + 3:
        assert one.channel.run_once(PAUSE, {one.view.wakeup.fileno(): 1}) == {}


def test_slow_viewer_sees_the_last_and_delays_nobody(take: Take) -> None:
    weather = Weather()
    slow, quick = take(weather), take(weather)
    for now in ("wet", "cold", "hot"):
        weather.now = now
        while quick.next() != now:
            pass
    assert slow.next() == "hot"


def test_who_comes_during_a_look_is_not_shown_what_is_older(take: Take) -> None:
    weather = Weather()
    weather.go_on.clear()
    first = take(weather)
    assert weather.begun.wait(10)
    weather.now = "wet"
    second = take(weather)
    weather.go_on.set()
    assert second.next() == "wet"
    assert first.next() in ("dry", "wet")


def test_who_may_look_no_more_is_told_and_the_others_go_on(take: Take) -> None:
    weather = Weather()
    ada, bob = take(weather), take(weather, "bob")
    assert ada.next() == bob.next() == "dry"
    weather.refused = {"bob": EnvironmentNotFoundError()}
    with pytest.raises(EnvironmentNotFoundError):
        bob.next()
    weather.now = "wet"
    assert ada.next() == "wet"
    assert set(weather.whos) == {"ada"}


def test_what_is_gone_ends_its_viewers_at_once_and_nothing_else(take: Take) -> None:
    weather = Weather()
    ada = take(weather)
    assert ada.next() == "dry"
    weather.error = EnvironmentNotFoundError()
    with pytest.raises(EnvironmentNotFoundError):
        ada.next()
    assert take(Weather()).next() == "dry", "who comes next is served"


FAILURES = [StorageUnavailableError(), VibeBoxError("down"), ZeroDivisionError()]


@pytest.mark.parametrize("error", FAILURES, ids=repr)
def test_failed_look_is_tried_again(take: Take, error: Exception) -> None:
    weather = Weather()
    ada = take(weather)
    assert ada.next() == "dry"
    for now in ("wet", "dry"):
        weather.error, looks = error, weather.looks
        wait_until(lambda: weather.looks > looks + 2, 10)  # noqa: B023
        weather.now, weather.error = now, None
        assert ada.next() == now


@pytest.mark.parametrize("error", FAILURES, ids=repr)
def test_looks_that_fail_for_too_long_end_their_viewers(
    error: Exception, shutdown_signal: Wakeup
) -> None:
    """In all, and not only those that fail one after the other: a success begins anew."""
    clock = Clock()
    hub, weather = PollingHub(PAUSE, grace=60, clock=clock), Weather()
    with seat(hub, shutdown_signal, weather, "ada") as ada:
        assert ada.next() == "dry"
        for _ in range(2):
            weather.error, looks = error, weather.looks
            wait_until(lambda: weather.looks > looks + 2, 10)  # noqa: B023
            clock.jump(50)
            weather.error, looks = None, weather.looks
            wait_until(lambda: weather.looks > looks + 2, 10)  # noqa: B023
        assert ada.view.error is None
        weather.error, looks = error, weather.looks
        wait_until(lambda: weather.looks > looks + 2, 10)
        clock.jump(60)
        with pytest.raises(type(error)):
            ada.next()


def test_what_is_known_is_not_told(hub: PollingHub, shutdown_signal: Wakeup) -> None:
    weather = Weather()
    view = hub.watch("here", "ada", weather, "dry")
    wait_until(lambda: weather.looks > 3, 10)
    assert not view.wakeup.is_set and view.error is None
    weather.refused = {"ada": EnvironmentNotFoundError()}
    wait_until(lambda: view.wakeup.is_set, 10)
    assert isinstance(view.error, EnvironmentNotFoundError)
    hub.leave(view)


def test_failure_to_begin_leaves_nothing_behind(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit of threads the next one may succeed."""
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", _no_thread)
        with pytest.raises(RuntimeError):
            take(Weather())
    assert take(Weather()).next() == "dry"


def _no_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_draining_ends_the_wait(take: Take, shutdown_signal: Wakeup) -> None:
    weather = Weather()
    one = take(weather)
    assert one.next() == "dry"
    shutdown_signal.set()
    assert one.next() is None


def test_thread_ends_with_the_last_viewer(hub: PollingHub, shutdown_signal: Wakeup) -> None:
    slowly = PollingHub(60)
    for one in (hub, slowly):
        with seat(one, shutdown_signal, Weather(), "ada") as taken:
            assert taken.next() == "dry"
        ends_at = time.monotonic() + 10
        while threads() and time.monotonic() < ends_at:
            time.sleep(0.01)
        assert threads() == []


def test_what_is_new_is_looked_at_without_a_pause(shutdown_signal: Wakeup) -> None:
    slowly = PollingHub(60)
    with seat(slowly, shutdown_signal, Weather(), "ada") as here:
        assert here.next() == "dry"
        with seat(slowly, shutdown_signal, Weather(), "ada", "there") as there:
            assert there.next() == "dry"
