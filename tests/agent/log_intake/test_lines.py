"""Lines made of Docker's records."""

import pytest

from app.agent.log_intake.lines import CUT, LINE_LIMIT, OVERHEAD, Joiner, line_of
from tests.agent.log_intake.support import record


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        (b"", ""),
        ("grün".encode(), "grün"),
        (b"a\x00b", "a\N{REPLACEMENT CHARACTER}b"),
        (b"a\xff\xfeb", "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"),
        (b"\xed\xa0\x80", "\N{REPLACEMENT CHARACTER}" * 3),
        (b"tab\tand\r", "tab\tand\r"),
    ],
    ids=["ascii", "empty", "utf-8", "nul", "no utf-8", "lone surrogate", "controls"],
)
def test_text_is_one_that_a_database_takes(raw: bytes, text: str) -> None:
    line = line_of("stdout", 1, raw)

    assert line.text == text
    assert line.size == len(text.encode()) + OVERHEAD


def test_line_at_the_limit_is_whole_and_a_longer_one_is_marked() -> None:
    assert line_of("stdout", 1, b"x" * LINE_LIMIT).text == "x" * LINE_LIMIT
    assert line_of("stdout", 1, b"x" * (LINE_LIMIT + 1)).text == "x" * LINE_LIMIT + CUT


def test_pieces_of_both_streams_are_joined_apart() -> None:
    joiner = Joiner()
    found = [
        *joiner.feed(record(b"o1", 1, partial=True)),
        *joiner.feed(record(b"e1", 2, stream="stderr", partial=True)),
        *joiner.feed(record(b"o2", 1, partial=True)),
        *joiner.feed(record(b"e2", 2, stream="stderr")),
        *joiner.feed(record(b"o3", 1)),
    ]

    assert [(line.stream, line.at_ns, line.text) for line in found] == [
        ("stderr", 2, "e1e2"),
        ("stdout", 1, "o1o2o3"),
    ]
    assert joiner.rest() == []


def test_open_end_is_a_line_once_another_follows_or_nothing_will() -> None:
    joiner = Joiner()

    assert joiner.feed(record(b"prompt", 1, partial=True)) == []
    assert [line.text for line in joiner.feed(record(b"next", 2))] == ["prompt", "next"]
    assert joiner.feed(record(b"last", 3, partial=True)) == []
    assert [(line.at_ns, line.text) for line in joiner.rest()] == [(3, "last")]


def test_endless_line_is_held_up_to_the_limit_only() -> None:
    joiner = Joiner()
    for _ in range(100):
        assert joiner.feed(record(b"x" * 16384, 1, partial=True)) == []

    (line,) = joiner.feed(record(b"end", 1))

    assert line.text == "x" * LINE_LIMIT + CUT
