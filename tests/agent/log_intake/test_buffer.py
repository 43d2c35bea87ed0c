"""The bounded buffer: batches, and readers that wait."""

import threading
import time
from collections.abc import Callable

from app.agent.log_intake.buffer import Buffer
from tests.backends.programs import wait_until


class OfOne(Buffer[int]):
    """A buffer with one source."""

    def add(self, item: int, size: int, given_up: Callable[[], bool]) -> bool:
        return self.put("one", item, size, given_up)


def buffer(most: int = 3, seconds: float = 0.0, lines: int = 5, size: int = 1000) -> OfOne:
    return OfOne(most=most, most_bytes=100, seconds=seconds, lines=lines, size=size, always=0)


def never() -> bool:
    return False


def test_batches_are_bounded_by_number_and_by_bytes() -> None:
    numbers = buffer()
    for number in range(4):
        numbers.add(number, 10, never)
    assert [numbers.take(), numbers.take()] == [[0, 1, 2], [3]]
    for number in range(3):
        numbers.add(number, 60, never)
    assert [numbers.take(), numbers.take()] == [[0, 1], [2]]


def test_full_batch_does_not_wait_for_more() -> None:
    numbers = buffer(seconds=60)
    for number in range(3):
        numbers.add(number, 1, never)
    begun = time.monotonic()
    assert numbers.take() == [0, 1, 2]
    assert time.monotonic() - begun < 30


def test_first_item_waits_for_others_for_a_while() -> None:
    numbers = buffer(seconds=0.2)
    numbers.add(1, 1, never)
    begun = time.monotonic()
    assert numbers.take() == [1]
    assert time.monotonic() - begun >= 0.2


def test_full_buffer_blocks_until_there_is_room() -> None:
    numbers = buffer(lines=2)
    done: list[bool] = []
    numbers.add(0, 1, never)
    numbers.add(1, 1, never)
    thread = threading.Thread(target=lambda: done.append(numbers.add(2, 1, never)))
    thread.start()
    thread.join(0.2)
    assert not done

    assert numbers.take() == [0, 1]
    wait_until(lambda: done == [True], 10)
    thread.join()
    assert numbers.take() == [2]


def test_full_of_bytes_is_full() -> None:
    numbers = buffer(size=50)
    assert numbers.add(0, 50, never)
    assert not numbers.add(1, 1, lambda: True)
    assert numbers.take() == [0]


def test_who_gives_up_adds_nothing() -> None:
    numbers = buffer(lines=1)
    numbers.add(0, 1, never)
    assert not numbers.add(1, 1, lambda: True)
    numbers.close()
    assert [numbers.take(), numbers.take()] == [[0], []]


def test_batch_has_a_share_of_each_source_and_the_rest_of_who_has_more() -> None:
    shared: Buffer[str] = Buffer(most=8, most_bytes=10_000, seconds=0, lines=1000, size=100_000)
    for number in range(100):
        shared.put("flood", f"flood-{number}", 1, never)
    for source in ("a", "b"):
        for number in range(3):
            shared.put(source, f"{source}-{number}", 1, never)

    first = shared.take()
    assert sorted(first) == sorted(
        [*(f"flood-{n}" for n in range(3)), "a-0", "a-1", "a-2", "b-0", "b-1"]
    )
    assert [line for line in first if line.startswith("a")] == ["a-0", "a-1", "a-2"]
    assert "b-2" in shared.take()


def test_who_floods_leaves_room_to_every_other_source() -> None:
    shared: Buffer[int] = Buffer(most=10, most_bytes=10_000, seconds=0, lines=20, size=1000)
    while shared.put("flood", 0, 40, lambda: True):
        pass
    for number in range(32):
        assert shared.put("quiet", number, 1, lambda: True)
    assert not shared.put("quiet", 32, 1, lambda: True)


def test_large_lines_have_a_share_of_bytes() -> None:
    shared: Buffer[str] = Buffer(most=100, most_bytes=1000, seconds=0, lines=1000, size=100_000)
    for _ in range(10):
        shared.put("large", "large", 400, never)
    shared.put("small", "small", 10, never)
    assert "small" in shared.take()
