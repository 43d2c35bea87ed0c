"""Docker's multiplexed output."""

import struct

import pytest

from app.engine.frames import FrameSplitter


def _frame(stream: int, payload: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(payload)) + payload


OUTPUT = (
    _frame(1, b"one") + _frame(2, b"bad") + _frame(1, b"") + _frame(1, b" two") + _frame(3, b"e")
)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, len(OUTPUT)])
def test_streams_come_apart_whatever_the_pieces(size: int) -> None:
    splitter = FrameSplitter()
    for start in range(0, len(OUTPUT), size):
        splitter.feed(OUTPUT[start : start + size])
    assert (splitter.stdout, splitter.stderr) == (b"one two", b"bad")
    assert splitter.engine_error == b"e"
    assert not splitter.truncated


def test_each_stream_keeps_its_beginning_up_to_the_limit() -> None:
    splitter = FrameSplitter(limit=4)
    splitter.feed(_frame(1, b"abcdef") + _frame(1, b"gh") + _frame(2, b"1234"))
    assert (splitter.stdout, splitter.stderr) == (b"abcd", b"1234")
    assert splitter.truncated


def test_exactly_the_limit_is_not_truncated() -> None:
    splitter = FrameSplitter(limit=4)
    splitter.feed(_frame(1, b"abcd"))
    assert not splitter.truncated
