"""A bad file costs itself only, and is told."""

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefork_metrics.aggregation import Aggregator, Support, support
from prefork_metrics.aggregation.aggregator import Rendered
from prefork_metrics.exposition import Exposition, Files
from tests.prefork_metrics.aggregation.support import counter, key, stock, write
from tests.prefork_metrics.registry import moved, registry


def _put(offset: int, data: bytes) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    return spoil


def _entry(raw: bytes) -> Callable[[Path], None]:
    """Replace the file by one with this key."""
    padded = raw + b" " * (8 - (len(raw) + 4) % 8)
    entry = struct.pack(f"i{len(padded)}sdd", len(raw), padded, 1.0, 0.0)

    def spoil(path: Path) -> None:
        path.write_bytes(struct.pack("ii", 8 + len(entry), 0) + entry)

    return spoil


def _cut_timestamp(path: Path) -> None:
    (used,) = struct.unpack_from("i", path.read_bytes())
    _put(0, struct.pack("i", used - 8))(path)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: os.truncate(path, 0), "empty"),
    "truncated in the header": (lambda path: os.truncate(path, 3), "truncated"),
    "truncated in an entry": (lambda path: os.truncate(path, 40), "truncated"),
    "used size negative": (_put(0, struct.pack("i", -8)), "garbled"),
    "used size odd": (_put(0, struct.pack("i", 13)), "garbled"),
    "used size beyond the file": (_put(0, struct.pack("i", 1 << 30)), "truncated"),
    "used size within an entry": (_put(0, struct.pack("i", 32)), "garbled"),
    "used size before a timestamp": (_cut_timestamp, "garbled"),
    "used size beyond the entries": (_put(0, struct.pack("i", 1 << 12)), "garbled"),
    "key length negative": (_put(8, struct.pack("i", -1)), "garbled"),
    "key length huge": (_put(8, struct.pack("i", 1 << 30)), "garbled"),
    "key no UTF-8": (_put(12, b"\xff\xfe"), "garbled"),
    "key no JSON": (_entry(b"[nonsense"), "garbled"),
    "key no list": (_entry(b'{"a": 1}'), "garbled"),
    "key too short": (_entry(b'["a", "b"]'), "garbled"),
    "key deeply nested": (_entry(b"[" * 5000), "garbled"),
    "family empty": (_entry(b'["", "b", {}, "h"]'), "garbled"),
    "family a number": (_entry(b'[1, "b", {}, "h"]'), "garbled"),
    "help null": (_entry(b'["a", "b", {}, null]'), "garbled"),
    "labels a list": (_entry(b'["a", "b", [], "h"]'), "garbled"),
    "label value a number": (_entry(b'["a", "b", {"l": 1}, "h"]'), "garbled"),
    "half a surrogate pair": (_entry(b'["a", "b", {"l": "\\ud800"}, "h"]'), "garbled"),
    "random bytes": (lambda path: path.write_bytes(bytes(range(7, 255)) * 9), ""),
    "vanished": (os.unlink, "vanished"),
    "a FIFO": (_fifo, "not a regular file"),
    "a directory": (_directory, "not a regular file"),
    "a link to itself": (_loop, "Too many levels of symbolic links"),
}
BAD = pytest.mark.parametrize(("spoil", "reason"), CASES.values(), ids=CASES.keys())


@BAD
@pytest.mark.parametrize("known", [False, True], ids=["at first sight", "after a good scrape"])
def test_bad_file_costs_itself_only(
    tmp_path: Path, spoil: Callable[[Path], object], reason: str, known: bool
) -> None:
    good = [counter(tmp_path / "counter_1.db"), counter(tmp_path / "counter_3.db")]
    bad = counter(tmp_path / "counter_2.db", 10.0)
    files = [good[0], bad, good[1]]
    aggregator = Aggregator()
    if known:
        assert b"} 12.0" in aggregator.render(files, openmetrics=False).body
    spoil(bad)
    for _ in range(2):
        rendered = aggregator.render(files, openmetrics=False)
        _is_left_out(rendered, bad, reason)
        assert rendered.body == stock(good)


def _is_left_out(rendered: Rendered, bad: Path, reason: str) -> None:
    assert [path for path, _ in rendered.errors] == [bad]
    assert rendered.errors[0][1].startswith(reason)


def test_file_that_is_mended_counts_again(tmp_path: Path) -> None:
    files = [counter(tmp_path / "counter_1.db"), counter(tmp_path / "counter_2.db", 10.0)]
    whole = files[1].read_bytes()
    aggregator = Aggregator()
    files[1].write_bytes(whole[:20])
    assert b"} 1.0" in aggregator.render(files, openmetrics=False).body
    files[1].write_bytes(whole)
    assert b"} 11.0" in aggregator.render(files, openmetrics=False).body


def test_unreadable_file_costs_itself_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [counter(tmp_path / "counter_1.db"), counter(tmp_path / "counter_2.db", 10.0)]
    opened = os.open

    def refuse(path: Path, *more: int) -> int:
        # Not by its mode: root, as whom tests may run, reads every file.
        if path == files[1]:
            raise PermissionError(13, "Permission denied")
        return opened(path, *more)

    monkeypatch.setattr(os, "open", refuse)
    rendered = Aggregator().render(files, openmetrics=False)
    _is_left_out(rendered, files[1], "Permission denied")
    assert rendered.body == stock(files[:1])


@pytest.mark.parametrize("name", ["counter.db", "gauge_1.db", "other_1.db", "member_1.lock"])
def test_file_of_another_name_is_left_out(tmp_path: Path, name: str) -> None:
    good = counter(tmp_path / "counter_1.db")
    bad = counter(tmp_path / name)
    _is_left_out(Aggregator().render([good, bad], openmetrics=False), bad, "not a name")


def test_bucket_without_a_number_costs_its_file(tmp_path: Path) -> None:
    entry = (key("h", "h_bucket", {"le": "often"}), 1.0, 0.0)
    bad = write(tmp_path / "histogram_1.db", [entry])
    _is_left_out(Aggregator().render([bad], openmetrics=False), bad, "garbled: a bucket's bound")


def test_live_gauge_that_vanished_is_no_error(tmp_path: Path) -> None:
    rendered = Aggregator().render([tmp_path / "gauge_livesum_1.db"], openmetrics=True)
    assert (rendered.errors, rendered.families, rendered.body) == ([], b"", b"# EOF\n")


@pytest.mark.parametrize("size", [8, 1 << 16])
def test_file_before_its_first_entry_is_no_error(tmp_path: Path, size: int) -> None:
    # Killed, or interrupted, between sizing the file and writing the used size.
    path = tmp_path / "counter_1.db"
    path.write_bytes(bytes(size))
    aggregator = Aggregator()
    assert aggregator.render([path], openmetrics=False) == Rendered(b"", b"", [])
    counter(path)
    assert aggregator.render([path], openmetrics=False).body == stock([path])


def test_entry_beyond_the_used_size_is_ignored(tmp_path: Path) -> None:
    path = counter(tmp_path / "counter_1.db")
    (used,) = struct.unpack_from("i", path.read_bytes())
    _put(used, struct.pack("i", 1 << 30) + b"half an entry")(path)
    assert Aggregator().render([path], openmetrics=False) == Rendered(stock([path]), b"", [])


def test_the_installed_client_is_supported(caplog: pytest.LogCaptureFixture) -> None:
    assert support.client_support() is Support.KNOWN
    assert caplog.records == []


def test_the_test_needs_no_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is read-only and has no /tmp."""
    real = os.open

    def refuse(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return real(path, flags, *more, **named)

    monkeypatch.setattr("os.open", refuse)
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert support.client_support() is Support.KNOWN


def test_a_test_that_cannot_be_done_says_nothing_of_the_library(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> int:
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    monkeypatch.setattr("os.memfd_create", refuse)
    assert support.client_support() is Support.UNTESTED
    assert [record.message for record in caplog.records] == ["metrics file format is not tested"]
    assert Files(registry)._aggregator is not None


@pytest.mark.parametrize("change", ["_INTEGER", "_HEADER"])
def test_another_file_format_is_noticed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    other = {"_INTEGER": struct.Struct("q"), "_HEADER": 16}[change]
    monkeypatch.setattr(f"prefork_metrics.aggregation.source.{change}", other)
    assert support.client_support() is Support.UNKNOWN
    assert [record.message for record in caplog.records] == [
        "metrics file format is not the known one: no exemplars"
    ]


def test_another_key_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prometheus_client.mmap_dict.mmap_key", lambda *parts: repr(parts))
    assert support.client_support() is Support.UNKNOWN


def test_each_scrape_by_the_stock_collector_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("prefork_metrics.exposition.client_support", lambda: Support.UNKNOWN)
    registry.scrape.collect_errors.create_all()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    exposition = Exposition(registry)
    with moved("test_metrics_collect_errors_total") as errors:
        exposition.render("")
    assert errors == {("format",): 1}
