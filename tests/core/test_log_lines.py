"""Prepared lines are the bytes that the formatter makes, through the same handler."""

import io
import json
import logging
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core import logging as ours
from app.core.context import NOTHING, Context, context
from app.core.log_lines import Known, LogLines, milliseconds, text

NAME = "app.test.lines"
FIELDS: dict[str, str | int | float] = {
    "method": "GET",
    "route": "/api/v1/environments/<id>",
    "path": "/api/v1/environments/vbx_access_abcdefgh?token=secret ü \ud800",
    "status": 200,
    "duration_ms": 1.234,
}

MORE = {"duration_ms": "1.234"}
NAMED = Known({name: value for name, value in FIELDS.items() if name != "duration_ms"})


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What goes to standard output, with logging as every process of the service has it."""
    root, stream = logging.getLogger(), io.StringIO()
    before = (root.handlers[:], root.level)
    handler = ours.StdoutHandler(stream)
    handler.setFormatter(ours.JsonFormatter())
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    monkeypatch.setattr("time.time_ns", lambda: 1_700_000_000_123_456_789)
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.1234567)
    yield stream
    root.handlers[:], root.level = before[0], before[1]


def taken(stream: io.StringIO) -> str:
    text = stream.getvalue()
    stream.seek(0)
    stream.truncate()
    return text


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_line_is_byte_for_byte_the_formatters(written: io.StringIO, level: int) -> None:
    logger = logging.getLogger(NAME)
    context.set(Context('a"b', trace_id="0af7651916cd43dd8448eb211c80319c"))
    try:
        logger.log(level, "request", extra=FIELDS)
        expected = taken(written)
        LogLines(logger, "request").write(level, NAMED, MORE)
    finally:
        context.set(NOTHING)
    assert taken(written) == expected
    assert "vbx_[redacted]" in expected and "secret" not in json.loads(expected)["path"]


@given(
    st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20)
)
def test_values_are_shown_as_the_formatter_shows_them(
    text: str, number: int, seconds: float, id: str
) -> None:
    fields: dict[str, str | int | float] = {"path": text, "status": number, "ms": seconds}
    record = logging.makeLogRecord(
        {"name": NAME, "levelno": 20, "levelname": "INFO", "msg": "request", "created": 0.0}
    )
    record.__dict__.update(fields)
    token = context.set(Context(id))
    try:
        expected = json.loads(ours.JsonFormatter().format(record))
        lines = LogLines(logging.getLogger(NAME), "request")
        line = json.loads(lines._line(20, Known(fields).text, time.time_ns()))
    finally:
        context.reset(token)
    assert {**line, "time": ""} == {**expected, "time": ""}


@given(st.floats(min_value=-1e-3, max_value=1e9))
@example(0.0)
@example(-1e-12)
@example(0.0005)
@example(0.0000005)
@example(0.0010005)
@example(0.1)
@example(12.0)
@example(100_000.0)
def test_milliseconds_are_those_that_the_formatter_writes(seconds: float) -> None:
    assert milliseconds(seconds) == json.dumps(round(seconds * 1000, 3))


@pytest.mark.parametrize("at", [0, 1, 9_999_999, 10_000_000, 99_999_999, 999_000_000, 999_999_999])
def test_moments_are_those_that_the_formatter_writes(at: int) -> None:
    at_ns = 1_700_000_000_000_000_000 + at
    found = json.loads(LogLines(logging.getLogger(NAME), "request")._line(20, "", at_ns))
    assert found["time"] == f"2023-11-14T22:13:20.{at // 1_000_000:03d}+00:00"


def test_level_is_asked_first(written: io.StringIO) -> None:
    lines = LogLines(logging.getLogger(NAME), "request")
    assert not lines.write(logging.DEBUG, NAMED, MORE)
    assert taken(written) == ""
    assert lines.write(logging.INFO, NAMED, MORE)


def test_where_logging_is_set_up_otherwise_it_is_an_ordinary_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, NAME):
        lines = LogLines(logging.getLogger(NAME), "request")
        assert lines.write(logging.INFO, Known({"status": 200}), {"ms": "1.5", "why": text('a"b')})
        assert lines.write(logging.INFO, Known({"status": 201}), {})
    first, second = caplog.records
    assert first.getMessage() == second.getMessage() == "request"
    found = first.__dict__
    assert (found["status"], found["ms"], found["why"]) == (200, 1.5, 'a"b')
    assert second.__dict__["status"] == 201


def test_stream_that_fails_ends_nothing(
    written: io.StringIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    monkeypatch.setattr(handler, "stream", Full())
    LogLines(logging.getLogger(NAME), "request").write(logging.INFO, NAMED, MORE)
    assert "No space left" in capsys.readouterr().err


def test_lines_of_threads_are_whole(written: io.StringIO) -> None:
    lines = LogLines(logging.getLogger(NAME), "request")

    def write() -> None:
        for _ in range(200):
            lines.write(logging.INFO, NAMED, MORE)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    found = taken(written).splitlines()
    assert len(found) == 800 and len({json.loads(line)["time"] for line in found}) == 1


def test_what_is_known_is_made_once_and_bounded() -> None:
    lines = LogLines(logging.getLogger(NAME), "request")
    made: list[str] = []

    def fields(path: str) -> dict[str, str]:
        made.append(path)
        return {"path": path}

    first = lines.known(("/a",), fields)
    assert lines.known(("/a",), fields) is first and first.text == ', "path": "/a"'
    for number in range(3000):
        lines.known((f"/{number}",), fields)
    assert len(made) == 3001 and len(lines._known) <= 1024
