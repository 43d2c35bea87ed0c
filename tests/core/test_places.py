"""No account takes all places, whatever it opens, and who has none gets the next one."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Limit, LimitError, ShareExceededError, TooManySocketsError
from app.core.places import Place, Places, take_all


def places(number: int, share: Limit | None = Limit.WEBSOCKETS) -> Places:
    return Places(number, share, TooManySocketsError)


def fill(some: Places, owner: str) -> list[Place]:
    """Take as many as `owner` gets."""
    taken: list[Place] = []
    try:
        while True:
            taken.append(some.take(owner))
    except LimitError:
        return taken


@pytest.mark.parametrize(
    ("number", "alone", "second", "third"),
    [(0, 0, 0, 0), (1, 1, 0, 0), (2, 1, 1, 0), (3, 2, 1, 0), (6, 3, 2, 1), (100, 50, 25, 13)],
)
def test_shares(number: int, alone: int, second: int, third: int) -> None:
    some = places(number)
    assert [len(fill(some, owner)) for owner in "abc"] == [alone, second, third]


def test_nobody_has_more_than_the_most() -> None:
    some = Places(100, Limit.WEBSOCKETS, TooManySocketsError, most=40)
    assert [len(fill(some, owner)) for owner in "abcd"] == [40, 30, 15, 8]


def test_spare_ones_are_for_who_has_none() -> None:
    some = Places(8, Limit.REQUESTS, TooManySocketsError, spare=2)
    assert [len(fill(some, owner)) for owner in "abcdef"] == [3, 2, 1, 1, 1, 0]


def test_refusals_say_whose_limit_it_is() -> None:
    some = places(2)
    some.take("a")
    with pytest.raises(ShareExceededError, match="has 1 WebSockets open") as refused:
        some.take("a")
    assert (refused.value.limit, refused.value.retry_after) == (Limit.WEBSOCKETS, 1)
    some.take("b")
    for owner in "abc":
        with pytest.raises(TooManySocketsError):
            some.take(owner)


@given(number=st.integers(1, 50), steps=st.lists(st.tuples(st.integers(0, 9), st.booleans())))
def test_who_has_none_gets_what_is_free(number: int, steps: list[tuple[int, bool]]) -> None:
    """After whatever was taken and given back, and nobody took the last one of several."""
    some, held = places(number), dict[str, list[Place]]()
    for who, takes in steps:
        owner, total = str(who), sum(map(len, held.values()))
        mine = held.setdefault(owner, [])
        if not takes:
            if mine:
                mine.pop().close()
            continue
        try:
            mine.append(some.take(owner))
        except LimitError as error:
            assert mine or total == number
            assert isinstance(error, TooManySocketsError) is (total == number)
        else:
            assert total < number
            assert len(mine) == 1 or len(mine) <= number - total
    for one in (place for mine in held.values() for place in mine):
        one.close()
    assert len(fill(some, "last")) == (number + 1) // 2, "all came back"


def test_without_shares_one_may_take_all() -> None:
    assert len(fill(places(5, None), "a")) == 5


def test_a_place_comes_back_once() -> None:
    some = places(4)
    first = some.take("a")
    first.close()
    first.close()
    assert len(fill(some, "a")) == 2


def test_several_are_taken_together_or_not_at_all() -> None:
    wide, narrow = places(9), places(2)
    both = take_all((wide, narrow), "a")
    for _ in range(20):
        with pytest.raises(ShareExceededError):
            take_all((wide, narrow), "a")
    both.close()
    assert len(fill(wide, "a")) == 5


def test_of_many_at_once_none_is_counted_wrong() -> None:
    some, start = places(50), threading.Barrier(8)

    def hammer(number: int) -> int:
        start.wait(10)
        got = 0
        for _ in range(300):
            try:
                place = some.take(str(number % 4))
            except LimitError:
                continue
            got += 1
            place.close()
        return got

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(hammer, range(8))) > 0
    assert len(fill(some, "last")) == 25
