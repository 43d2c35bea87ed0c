"""The file of exemplars: what is put is read, what is torn is left out."""

import itertools
import multiprocessing
from pathlib import Path

import pytest

from prefork_metrics.exemplars import Exemplar, ExemplarFile, Pairs, read

ONE = Exemplar((("request_id", "a-b_c.1"),), 0.25, 1_700_000_000.5)
TRACE = "0af7651916cd43dd8448eb211c80319c"
OTHER = Exemplar((("trace_id", TRACE), ("span_id", 'b"7\n')), 3.0, 1_700_000_001.0)


def named(id: str, label: str = "request_id") -> Exemplar:
    return Exemplar(((label, id),), 0.25, 1_700_000_000.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exemplars_0a.side"


def test_put_is_read_and_the_last_of_a_bucket_stays(path: Path) -> None:
    file = ExemplarFile(path)
    assert read(path) == {}
    file.put(("histogram", 64), ONE)
    file.put(("histogram", 8), ONE)
    file.put(("histogram", 64), OTHER)
    file.put(("counter", 8), OTHER)

    assert read(path) == {("histogram", 64): OTHER, ("histogram", 8): ONE, ("counter", 8): OTHER}


def test_grows_with_the_buckets(path: Path) -> None:
    file = ExemplarFile(path)
    size = path.stat().st_size
    expected = {("counter", 8 * number): named(f"r{number}") for number in range(500)}
    for place, exemplar in expected.items():
        file.put(place, exemplar)

    assert read(path) == expected
    assert path.stat().st_size > size


@pytest.mark.parametrize(("label", "length"), [("request_id", 118), ("trace_id", 120)])
def test_labels_have_128_characters_at_most(path: Path, label: str, length: int) -> None:
    longest = named("x" * length, label)
    assert longest.fits
    assert not named("x" * (length + 1), label).fits
    assert not named("", label).fits

    ExemplarFile(path).put(("histogram", 8), longest)
    assert read(path) == {("histogram", 8): longest}


@pytest.mark.parametrize(
    "labels", [(), (("a", "1\x1f2"),), (("a", "ü" * 70),), (("a", "\ud800" * 150),)]
)
def test_what_has_no_room_does_not_fit(labels: Pairs) -> None:
    assert not Exemplar(labels, 1.0, 1.0).fits


def test_damage_costs_the_damaged_record_only(path: Path) -> None:
    file = ExemplarFile(path)
    for position in (8, 16, 24):
        file.put(("histogram", position), ONE)
    whole = path.read_bytes()
    record = len(whole) // 64
    for offset in range(record, 2 * record):
        damaged = bytearray(whole)
        damaged[offset] ^= 0x41
        path.write_bytes(damaged)
        found = read(path)
        # A length of 0 would end the file; no damage may invent an exemplar.
        assert found["histogram", 8] == ONE
        assert set(found) <= {("histogram", 8), ("histogram", 24)}


@pytest.mark.parametrize("content", [b"", b"x", b"\xff" * 152, b"\0" * 10_000])
def test_garbage_holds_nothing(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert read(path) == {}


def _write_forever(path: Path, ready: object) -> None:
    file = ExemplarFile(path)
    long, short = named("l" * 118)._replace(value=1.0), named("s")._replace(value=2.0)
    file.put(("histogram", 8), long)
    ready.set()  # type: ignore[attr-defined]
    for time in itertools.count(int(long.time) + 1, 2):
        file.put(("histogram", 8), short._replace(time=time))
        file.put(("histogram", 8), long._replace(time=time + 1))


@pytest.mark.integration
def test_reader_beside_a_writer_never_sees_a_mixture(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    writer = context.Process(target=_write_forever, args=(path, ready))
    writer.start()
    try:
        assert ready.wait(30)
        seen = [read(path).get(("histogram", 8)) for _ in range(20_000)]
    finally:
        writer.kill()
        writer.join()
        writer.close()
    whole = {(found.labels[0][1], found.value) for found in seen if found is not None}
    assert whole == {("l" * 118, 1.0), ("s", 2.0)}
