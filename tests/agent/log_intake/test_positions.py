"""Where a reading begins, and what of it is new."""

import random

from app.agent.log_intake.lines import Line, line_of
from app.agent.log_intake.positions import Position, Replay, after, since

MINUTE = 60 * 1_000_000_000


def test_position_counts_the_lines_of_its_time() -> None:
    first = after(None, 5)
    assert first == Position(5, 1)
    assert after(first, 5) == Position(5, 2)
    assert after(Position(5, 2), 6) == Position(6, 1)


def test_clock_set_back_moves_the_position_but_not_its_time() -> None:
    assert after(Position(5, 1), 3) == Position(5, 2)


def test_reading_begins_at_the_stream_that_is_behind() -> None:
    assert since({}) is None
    assert since({"stdout": Position(90, 1), "stderr": Position(80, 3)}) == 80


def test_silent_stream_does_not_have_everything_read_again() -> None:
    late = 100 * MINUTE
    assert since({"stdout": Position(late, 1)}) == late - 10 * MINUTE
    assert since({"stdout": Position(late, 1), "stderr": Position(5, 1)}) == late - 10 * MINUTE
    assert since({"stdout": Position(5, 1)}) == 0


def test_cut_anywhere_each_line_is_new_exactly_once() -> None:
    choose = random.Random(4)
    log: list[Line] = []
    times = {"stdout": 100, "stderr": 100}
    for number in range(200):
        stream = choose.choice(["stdout", "stderr"])
        times[stream] += choose.choice([0, 0, 1, 5])
        log.append(line_of(stream, times[stream], str(number).encode()))

    for _ in range(200):
        positions: dict[str, Position] = {}
        taken: list[Line] = []
        while len(taken) < len(log):
            begin, replay = since(positions) or 0, Replay(positions)
            left = choose.randint(1, 60)
            for line in log:
                if line.at_ns >= begin and replay.is_new(line) and left:
                    taken.append(line)
                    positions[line.stream] = after(positions.get(line.stream), line.at_ns)
                    left -= 1
                    if not left:
                        break
        assert sorted(taken, key=lambda line: int(line.text)) == log
        assert [line for line in taken if line.stream == "stderr"] == [
            line for line in log if line.stream == "stderr"
        ]
