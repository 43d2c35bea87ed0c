"""Password hashes: as many at once as there are cores, whatever is asked."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from app.core.errors import ServerBusyError, TooManyAttemptsError
from app.domain.accounts import passwords
from app.domain.accounts.passwords import Passwords, Turns, turns


@pytest.mark.parametrize("at_once", [1, 3])
def test_so_many_work_so_many_wait_and_the_rest_is_refused(at_once: int) -> None:
    found, go, working = Turns(at_once, 2), threading.Event(), threading.Semaphore(0)
    counted: Counter[str] = Counter()
    lock = threading.Lock()

    def work() -> None:
        try:
            with found.turn():
                with lock:
                    counted["now"] += 1
                    counted["most"] = max(counted["most"], counted["now"])
                working.release()
                go.wait(10)
                with lock:
                    counted["now"] -= 1
        except ServerBusyError:
            counted["refused"] += 1
            working.release()

    with ThreadPoolExecutor(10) as pool:
        done = [pool.submit(work) for _ in range(10)]
        for _ in range(10 - 2):
            assert working.acquire(timeout=10)
        assert (counted["now"], counted["refused"]) == (at_once, 10 - at_once - 2)
        go.set()
        for one in done:
            one.result(10)
    assert counted["most"] == at_once
    with found.turn():
        pass


def test_address_has_a_share_and_is_told_what_it_causes() -> None:
    found = Turns(5, 0)
    with ExitStack() as here:
        for _ in range(3):
            here.enter_context(found.turn("192.0.2.1"))
        with pytest.raises(TooManyAttemptsError) as refused, found.turn("192.0.2.1"):
            pass
        assert refused.value.retry_after == 1
        here.enter_context(found.turn("192.0.2.2"))
        here.enter_context(found.turn("192.0.2.3"))
        for address, error in (
            ("192.0.2.1", TooManyAttemptsError),
            ("192.0.2.3", TooManyAttemptsError),
            ("192.0.2.4", ServerBusyError),
            (None, ServerBusyError),
        ):
            with pytest.raises(error), found.turn(address):
                pass
    assert not found._here


def test_address_that_waits_for_itself_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_LONGEST_WAIT_SECONDS", 0.01)
    found = Turns(1, 3)
    with found.turn("192.0.2.1"):
        with pytest.raises(TooManyAttemptsError), found.turn("192.0.2.1"):
            pass
        with pytest.raises(ServerBusyError), found.turn("192.0.2.2"):
            pass


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_LONGEST_WAIT_SECONDS", 0.01)
    found = Turns(1, 1)
    with found.turn(), ThreadPoolExecutor(1) as pool:
        second = pool.submit(lambda: found.turn().__enter__())
        with pytest.raises(ServerBusyError, match="try again in a second"):
            second.result(10)
    with found.turn():
        pass


@pytest.mark.parametrize(
    ("cores", "workers", "at_once"), [(2, 2, 1), (8, 2, 4), (8, 3, 2), (0.5, 6, 1), (64, 1, 64)]
)
def test_workers_share_the_cores(cores: float, workers: int, at_once: int) -> None:
    found = turns(cores, workers, threads=8)
    entered = [found.turn() for _ in range(at_once)]
    for one in entered:
        one.__enter__()
    assert not found._working.acquire(blocking=False)
    for one in entered:
        one.__exit__(None, None, None)


def test_hashing_takes_a_turn() -> None:
    full = Turns(1, 0)
    ours = Passwords(time_cost=1, memory_kib=8, turns=full)
    hashed = ours.hash("a good password")
    assert ours.verify(hashed, "a good password") and not ours.verify(None, "a good password")
    with full.turn():
        for call in (lambda: ours.hash("x"), lambda: ours.verify(hashed, "x")):
            with pytest.raises(ServerBusyError):
                call()
