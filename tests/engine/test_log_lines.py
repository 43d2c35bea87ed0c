"""Docker's frames into lines, and lines that come again told from new ones."""

import struct

import pytest

from app.core.errors import EngineError
from app.engine import LogLine
from app.engine.log_following import LogCursor
from app.engine.log_lines import LogDecoder


def _frame(stream: int, record: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(record)) + record


LOG = (
    _frame(1, b"2026-01-31T12:00:00.000000001Z one\n")
    + _frame(2, b"2026-01-31T12:00:00.999999999Z  two \n")
    + _frame(1, b"2026-01-31T12:00:01.000000000Z piece")
    + _frame(1, b"2026-01-31T13:00:01.000000000+01:00 \n")
)
SECOND = 1769860800_000000000
LINES = [
    LogLine("stdout", SECOND + 1, b"one", False),
    LogLine("stderr", SECOND + 999_999_999, b" two ", False),
    LogLine("stdout", SECOND + 1_000_000_000, b"piece", True),
    LogLine("stdout", SECOND + 1_000_000_000, b"", False),
]


@pytest.mark.parametrize("size", [1, 7, 8, 9, 50, len(LOG)])
def test_lines_come_whole_whatever_the_pieces(size: int) -> None:
    decoder = LogDecoder()
    pieces = [LOG[start : start + size] for start in range(0, len(LOG), size)]
    assert [line for piece in pieces for line in decoder.feed(piece)] == LINES


@pytest.mark.parametrize(
    "data",
    [b"<html>no log</html>", _frame(1, b"yesterday line\n"), _frame(9, LOG[8:40])],
    ids=["html", "time", "stream"],
)
def test_what_is_no_log_is_an_error(data: bytes) -> None:
    with pytest.raises(EngineError, match="unknown way"):
        LogDecoder().feed(data)


def test_error_of_the_engine_is_no_line() -> None:
    with pytest.raises(EngineError, match="any further") as caught:
        LogDecoder().feed(_frame(3, b"secret-driver-text"))
    assert "secret" not in caught.value.detail


def _new(cursor: LogCursor, lines: list[LogLine]) -> list[bytes]:
    return [line.text for line in lines if cursor.is_new(line)]


def _out(at_ns: int, text: bytes) -> LogLine:
    return LogLine("stdout", at_ns, text, False)


LONG = [_out(1, b"a"), _out(2, b"b1"), _out(2, b"b2"), _out(2, b"b3"), _out(3, b"c")]


@pytest.mark.parametrize("given", range(len(LONG) + 1))
@pytest.mark.parametrize("begin", [0, 1])
def test_lines_that_come_again_are_known(given: int, begin: int) -> None:
    cursor = LogCursor()
    first = _new(cursor, LONG[:given])
    cursor.rewind()
    again = LONG[min(begin, given) :]
    assert first + _new(cursor, again) == [line.text for line in LONG]


def test_log_that_is_sent_again_without_notice_is_known() -> None:
    cursor = LogCursor()
    assert _new(cursor, [*LONG[:3], *LONG]) == [b"a", b"b1", b"b2", b"b3", b"c"]


def test_streams_have_times_of_their_own() -> None:
    cursor = LogCursor()
    late = LogLine("stderr", 2, b"late", False)
    assert _new(cursor, [_out(3, b"early"), late, late]) == [b"early", b"late", b"late"]


def test_nothing_before_the_beginning_is_new() -> None:
    cursor = LogCursor(since_ns=2)
    assert _new(cursor, LONG) == [b"b1", b"b2", b"b3", b"c"]
    assert cursor.since_ns is not None and cursor.since_ns <= 2
