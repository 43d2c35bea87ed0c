"""A scrape parses only what is new, and misses nothing of it."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.utils import floatToGoString

from prefork_metrics.aggregation import Aggregator
from tests.prefork_metrics.aggregation.support import Writer, counter, key, stock


def _same(aggregator: Aggregator, directory: Path) -> bytes:
    """Render, hold the text against the stock collector's, and return it."""
    files = sorted(directory.iterdir())
    rendered = aggregator.render(files, openmetrics=False)
    assert rendered.errors == []
    assert sorted(rendered.body.splitlines()) == sorted(stock(files).splitlines())
    return rendered.body


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Writer]:
    with Writer(tmp_path / "counter_1.db") as writer:
        writer.set(key("c", "c_total", {"route": "/"}), 1.0)
        yield writer


def test_unchanged_keys_are_parsed_and_laid_out_once(tmp_path: Path, file: Writer) -> None:
    counter(tmp_path / "counter_2.db")
    counter(tmp_path / "counter_3.db", route="/other")
    aggregator = Aggregator()
    for value in range(5):
        file.set(key("c", "c_total", {"route": "/"}), float(value))
        assert b'{route="/"} %d.0' % (value + 1) in _same(aggregator, tmp_path)
        # Two keys in three files; the second format shares both.
        aggregator.render(sorted(tmp_path.iterdir()), openmetrics=True)
        assert (aggregator.keys.parsed, aggregator.plans) == (2, 1)


def test_only_values_that_changed_are_written_anew(
    tmp_path: Path, file: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter(tmp_path / "counter_2.db", route="/other")
    aggregator = Aggregator()
    _same(aggregator, tmp_path)
    written: list[float] = []

    def note(value: float) -> str:
        written.append(value)
        return str(floatToGoString(value))

    monkeypatch.setattr("prefork_metrics.aggregation.text_cache.floatToGoString", note)
    file.set(key("c", "c_total", {"route": "/"}), 7e9)
    _same(aggregator, tmp_path)
    _same(aggregator, tmp_path)
    assert written == [7e9]


def test_a_key_that_appears_is_the_only_one_parsed(tmp_path: Path, file: Writer) -> None:
    aggregator = Aggregator()
    for number in range(100):
        file.set(key("c", "c_total", {"route": f"/{number}"}), float(number))
        assert f'route="/{number}"'.encode() in _same(aggregator, tmp_path)
        assert (aggregator.keys.parsed, aggregator.plans) == (number + 2, number + 1)


def test_a_file_that_outgrows_its_first_size_is_read_on(tmp_path: Path, file: Writer) -> None:
    aggregator = Aggregator()
    _same(aggregator, tmp_path)
    before = file.path.stat().st_size
    for number in range(1500):
        file.set(key("c", "c_total", {"route": f"/{number}"}), float(number))
    assert file.path.stat().st_size > before
    _same(aggregator, tmp_path)
    file.set(key("c", "c_total", {"route": "/1499"}), -5.0)
    assert b'{route="/1499"} -5.0' in _same(aggregator, tmp_path)
    assert aggregator.keys.parsed == 1501


def test_files_come_and_go(tmp_path: Path, file: Writer) -> None:
    aggregator = Aggregator()
    assert b"} 1.0" in _same(aggregator, tmp_path)
    second = counter(tmp_path / "counter_2.db", 5.0)
    third = counter(tmp_path / "counter_3.db", 7.0, route="/gone")
    assert b"} 6.0" in _same(aggregator, tmp_path)
    second.unlink()
    third.unlink()
    text = _same(aggregator, tmp_path)
    assert b"} 1.0" in text
    assert b"/gone" not in text


def test_keys_of_files_that_went_are_forgotten(tmp_path: Path, file: Writer) -> None:
    aggregator = Aggregator()
    for number in range(10):
        _same(aggregator, tmp_path)
        counter(tmp_path / f"counter_9{number}.db", route=f"/{number}")
        _same(aggregator, tmp_path)
        (tmp_path / f"counter_9{number}.db").unlink()
    _same(aggregator, tmp_path)
    assert len(aggregator.keys) == 1


@pytest.mark.parametrize("route", ["/", "/other", "/x"])
def test_a_file_replaced_under_its_name_is_read_anew(tmp_path: Path, route: str) -> None:
    path = counter(tmp_path / "counter_1.db", 1.0)
    aggregator = Aggregator()
    _same(aggregator, tmp_path)
    os.replace(counter(tmp_path / "aside", 9.0, route=route), path)
    assert f'route="{route}"}} 9.0'.encode() in _same(aggregator, tmp_path)


def test_a_file_replaced_by_one_that_differs_in_one_key_is_read_anew(tmp_path: Path) -> None:
    aggregator = Aggregator()
    for odd in range(40):
        with Writer(tmp_path.parent / "counter_1.db") as temporary:
            for number in range(40):
                route = f"/{odd == number:d}{number:02d}"
                temporary.set(key("c", "c_total", {"route": route}), float(number))
        os.replace(temporary.path, tmp_path / "counter_1.db")
        assert f'"/1{odd:02d}"}} {odd}.0'.encode() in _same(aggregator, tmp_path)


def test_an_inode_number_used_again_is_noticed(tmp_path: Path) -> None:
    # Written in place: the same inode and used size, as when the kernel gives a number again.
    path = counter(tmp_path / "counter_1.db", 1.0, route="/a")
    aggregator = Aggregator()
    _same(aggregator, tmp_path)
    path.write_bytes(counter(tmp_path.parent / "counter_1.db", 4.0, route="/b").read_bytes())
    assert b'route="/b"} 4.0' in _same(aggregator, tmp_path)


def test_a_sign_that_changes_on_zero_is_shown(tmp_path: Path) -> None:
    aggregator = Aggregator()
    with Writer(tmp_path / "gauge_all_1.db") as writer:
        for value in (0.0, -0.0, 0.0, float("nan"), -0.0):
            writer.set(key("g", "g"), value)
            assert f"}} {value}".replace("nan", "NaN").encode() in _same(aggregator, tmp_path)


def test_a_most_recent_gauge_shows_once_it_is_set(tmp_path: Path) -> None:
    aggregator = Aggregator()
    with (
        Writer(tmp_path / "gauge_mostrecent_1.db") as first,
        Writer(tmp_path / "gauge_mostrecent_2.db") as second,
    ):
        first.set(key("g", "g"), 4.0)
        assert b"\ng " not in _same(aggregator, tmp_path)
        first.set(key("g", "g"), 4.0, 10.0)
        assert b"\ng 4.0" in _same(aggregator, tmp_path)
        second.set(key("g", "g"), 5.0, 11.0)
        assert b"\ng 5.0" in _same(aggregator, tmp_path)
        first.set(key("g", "g"), 6.0, 12.0)
        assert b"\ng 6.0" in _same(aggregator, tmp_path)


def test_concurrent_renders_each_give_a_whole_text(tmp_path: Path, file: Writer) -> None:
    """Every text holds as many lines as keys at some moment, and no total falls in a thread."""
    aggregator = Aggregator()
    files = [file.path, counter(tmp_path / "counter_2.db", 0.0)]

    def scrape(openmetrics: bool) -> list[float]:
        totals = []
        for _ in range(200):
            rendered = aggregator.render(files, openmetrics)
            assert rendered.errors == []
            lines = [line for line in rendered.families.splitlines() if line[:1] != b"#"]
            totals.append(sum(float(line.rpartition(b" ")[2]) for line in lines))
        return totals

    with ThreadPoolExecutor(4) as pool:
        scrapes = [pool.submit(scrape, number % 2 == 0) for number in range(4)]
        number = 0
        while not all(done.done() for done in scrapes):
            number += 1
            file.set(key("c", "c_total", {"route": f"/{number % 50}"}), float(number))
        for done in scrapes:
            assert done.result() == sorted(done.result())
