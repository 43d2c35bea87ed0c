"""The file of exemplars: what is put is read, what is torn is left out."""

import logging
import multiprocessing
from pathlib import Path

import pytest

from app.core.logging import request_id
from app.metrics.exemplars import Exemplar, ExemplarFile, of_request, read

ONE = Exemplar("request_id", "a-b_c.1", 0.25, 1_700_000_000.5)
OTHER = Exemplar("trace_id", "0af7651916cd43dd8448eb211c80319c", 3.0, 1_700_000_001.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exemplars_0a.side"


def test_put_is_read_and_the_last_of_a_bucket_stays(path: Path) -> None:
    file = ExemplarFile(path)
    assert read(path) == {}
    file.put(64, ONE)
    file.put(8, ONE)
    file.put(64, OTHER)

    assert read(path) == {64: OTHER, 8: ONE}


def test_grows_with_the_buckets(path: Path) -> None:
    file = ExemplarFile(path)
    size = path.stat().st_size
    expected = {8 * number: ONE._replace(id=f"r{number}") for number in range(500)}
    for position, exemplar in expected.items():
        file.put(position, exemplar)

    assert read(path) == expected
    assert path.stat().st_size > size


@pytest.mark.parametrize(("label", "length"), [("request_id", 118), ("trace_id", 120)])
def test_labels_have_128_characters_at_most(path: Path, label: str, length: int) -> None:
    longest = ONE._replace(label=label, id="x" * length)
    assert longest.fits
    assert not longest._replace(id="x" * (length + 1)).fits
    assert not longest._replace(id="").fits

    ExemplarFile(path).put(8, longest)
    assert read(path) == {8: longest}


def test_damage_costs_the_damaged_record_only(path: Path) -> None:
    file = ExemplarFile(path)
    for position in (8, 16, 24):
        file.put(position, ONE)
    whole = path.read_bytes()
    record = len(whole) // 64
    for offset in range(record, 2 * record):
        damaged = bytearray(whole)
        damaged[offset] ^= 0x41
        path.write_bytes(damaged)
        found = read(path)
        # A length of 0 would end the file; no damage may invent an exemplar.
        assert found[8] == ONE
        assert set(found) <= {8, 24}


@pytest.mark.parametrize("content", [b"", b"x", b"\xff" * 152, b"\0" * 10_000])
def test_garbage_holds_nothing(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert read(path) == {}


def _write_forever(path: Path, ready: object) -> None:
    file = ExemplarFile(path)
    long, short = ONE._replace(id="l" * 118, value=1.0), ONE._replace(id="s", value=2.0)
    file.put(8, long)
    ready.set()  # type: ignore[attr-defined]
    while True:
        file.put(8, long)
        file.put(8, short)


@pytest.mark.integration
def test_reader_beside_a_writer_never_sees_a_mixture(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    writer = context.Process(target=_write_forever, args=(path, ready))
    writer.start()
    try:
        assert ready.wait(30)
        seen = [read(path).get(8) for _ in range(20_000)]
    finally:
        writer.kill()
        writer.join()
        writer.close()
    whole = {(found.id, found.value) for found in seen if found is not None}
    assert whole == {("l" * 118, 1.0), ("s", 2.0)}


def test_without_the_line_of_the_request_there_is_no_exemplar() -> None:
    logger = logging.getLogger("app.access")
    token = request_id.set("a1")
    before = logger.level
    try:
        logger.setLevel(logging.INFO)
        assert of_request() == {"request_id": "a1"}
        logger.setLevel(logging.WARNING)
        assert of_request() is None
    finally:
        logger.setLevel(before)
        request_id.reset(token)
