"""The bounded buffer: batches, and readers that wait."""

import threading
import time

from app.logs.buffer import Buffer
from tests.services.programs import wait_until


def buffer(most: int = 3, seconds: float = 0.0, lines: int = 5, size: int = 1000) -> Buffer[int]:
    return Buffer(most=most, most_bytes=100, seconds=seconds, lines=lines, size=size)


def never() -> bool:
    return False


def test_batches_are_bounded_by_number_and_by_bytes() -> None:
    numbers = buffer()
    for number in range(4):
        numbers.put(number, 10, never)
    assert [numbers.take(), numbers.take()] == [[0, 1, 2], [3]]
    for number in range(3):
        numbers.put(number, 60, never)
    assert [numbers.take(), numbers.take()] == [[0, 1], [2]]


def test_full_batch_does_not_wait_for_more() -> None:
    numbers = buffer(seconds=60)
    for number in range(3):
        numbers.put(number, 1, never)
    begun = time.monotonic()
    assert numbers.take() == [0, 1, 2]
    assert time.monotonic() - begun < 30


def test_first_item_waits_for_others_for_a_while() -> None:
    numbers = buffer(seconds=0.2)
    numbers.put(1, 1, never)
    begun = time.monotonic()
    assert numbers.take() == [1]
    assert time.monotonic() - begun >= 0.2


def test_full_buffer_blocks_until_there_is_room() -> None:
    numbers = buffer(lines=2)
    done: list[bool] = []
    numbers.put(0, 1, never)
    numbers.put(1, 1, never)
    thread = threading.Thread(target=lambda: done.append(numbers.put(2, 1, never)))
    thread.start()
    thread.join(0.2)
    assert not done

    assert numbers.take() == [0, 1]
    wait_until(lambda: done == [True], 10)
    thread.join()
    assert numbers.take() == [2]


def test_full_of_bytes_is_full() -> None:
    numbers = buffer(size=50)
    assert numbers.put(0, 50, never)
    assert not numbers.put(1, 1, lambda: True)
    assert numbers.take() == [0]


def test_who_gives_up_adds_nothing() -> None:
    numbers = buffer(lines=1)
    numbers.put(0, 1, never)
    assert not numbers.put(1, 1, lambda: True)
    numbers.close()
    assert [numbers.take(), numbers.take()] == [[0], []]
