"""Lines are copied as they are, by each process into a ring of its own; the rest is counted."""

import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core import logging as ours
from app.core.log_lines import Known, LogLines
from app.tracing import log_records
from app.tracing.log_records import MOST_BYTES, SLOTS, LogCopy, decode
from app.tracing.rings import RingReader, RingWriter

TOTAL = SLOTS * 16 * 1024
_log = logging.getLogger("app.test.copied")


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Standard output, with logging as every process of the service has it."""
    root, stream = logging.getLogger(), io.StringIO()
    before = (root.handlers[:], root.level)
    handler = ours.StdoutHandler(stream)
    handler.setFormatter(ours.JsonFormatter())
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    yield stream
    root.handlers[:], root.level = before
    ours.copy_lines(None)


@pytest.fixture
def copy(tmp_path: Path, stdout: io.StringIO) -> Iterator[LogCopy]:
    copy = LogCopy(tmp_path / "logs", TOTAL, ("app.test.silent",))
    ours.copy_lines(copy.copy)
    yield copy
    ours.copy_lines(None)
    copy._begin_anew()


def rings(tmp_path: Path) -> list[tuple[list[bytes], int]]:
    """Return what each ring has, and how much it has lost."""
    found = []
    for path in sorted((tmp_path / "logs").glob("ring-*")):
        reader = RingReader(path)
        found.append(([record for record, _ in reader.records()], reader.lost()))
        reader.close()
    return found


def test_both_ways_of_writing_a_line_are_copied(
    tmp_path: Path, copy: LogCopy, stdout: io.StringIO
) -> None:
    _log.info("by a record", extra={"token": "vbx_at_secret", "count": 3})
    LogLines(_log, "prepared").write(logging.WARNING, Known({"path": "/x"}), {"ms": "1.5"})
    logging.getLogger("app.test.silent.one").info("stays here")
    (((first, second), lost),) = rings(tmp_path)
    written = [json.loads(line) for line in stdout.getvalue().splitlines()]
    assert [line["event"] for line in written] == ["by a record", "prepared", "stays here"]
    for record, line in zip((first, second), written, strict=False):
        found = decode(record)
        assert (found.event, found.level) == (line["event"], line["level"])
        assert found.process == f"{line['worker']}:{os.getpid()}"
        for name, value in found.fields.items():
            assert line[name] == value
    assert decode(first).fields == {"token": "[redacted]", "count": 3}
    assert decode(second).fields == {"path": "/x", "ms": 1.5}
    assert decode(first).at_ns <= decode(second).at_ns
    assert lost == 0


def test_what_has_no_room_is_counted_in_the_ring(tmp_path: Path, copy: LogCopy) -> None:
    others = [RingWriter(tmp_path / "logs", TOTAL, SLOTS) for _ in range(SLOTS - 1)]
    for number in range(200):
        _log.info("many", extra={"number": number})
    _log.info("x" * (MOST_BYTES + 1))
    (*empty, (records, lost)) = rings(tmp_path)
    assert empty == [([], 0)] * len(others)
    assert len(records) + lost == 201
    assert [decode(record).fields["number"] for record in records] == list(range(len(records)))
    assert rings(tmp_path)[-1][1] == 0  # told once
    for one in others:
        one.close()


def test_a_child_has_a_ring_of_its_own(tmp_path: Path, copy: LogCopy) -> None:
    _log.info("of the parent")
    child = os.fork()
    if child == 0:
        _log.info("of the child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    _log.info("of the parent too")
    (parent, _), (of_child, _) = rings(tmp_path)
    assert [decode(it).event for it in parent] == ["of the parent", "of the parent too"]
    assert [decode(it).event for it in of_child] == ["of the child"]


def test_without_a_ring_lines_are_counted_once_there_is_one(
    tmp_path: Path,
    copy: LogCopy,
    stdout: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_records, "RingWriter", _none)
    _log.info("first")
    _log.info("second")
    told = [json.loads(line) for line in stdout.getvalue().splitlines()]
    # It tells of its trouble, on standard output alone, and goes on.
    assert sorted(line["event"] for line in told) == ["first", "log records are lost", "second"]
    monkeypatch.setattr(log_records, "RingWriter", RingWriter)
    copy._next_try = 0.0
    _log.info("third")
    ((records, lost),) = rings(tmp_path)
    assert [decode(it).event for it in records] == ["third"]
    assert lost == 3


def _none(*_arguments: object) -> RingWriter:
    raise OSError("no room")


def test_a_line_that_is_written_while_one_is_copied_is_counted(
    tmp_path: Path, copy: LogCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the handler of a signal, which may come at any moment."""
    _log.info("before")
    write = RingWriter.write

    def interrupted(self: RingWriter, record: bytes) -> bool:
        _log.info("by a handler")
        return write(self, record)

    monkeypatch.setattr(RingWriter, "write", interrupted)
    _log.info("interrupted")
    ((records, lost),) = rings(tmp_path)
    assert [decode(it).event for it in records] == ["before", "interrupted"]
    assert lost == 1


def test_a_deleted_directory_is_made_anew(tmp_path: Path, copy: LogCopy) -> None:
    _log.info("before")
    (tmp_path / "logs" / "ring-00").unlink()
    copy._next_look = 0.0
    _log.info("after")
    ((records, _),) = rings(tmp_path)
    assert [decode(it).event for it in records] == ["after"]
