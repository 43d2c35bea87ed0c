"""Totals of fractions do not depend on which file holds which part."""

import math
import random
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.utils import floatToGoString

from prefork_metrics.aggregation import Aggregator, Beside
from tests.prefork_metrics.aggregation.support import key, stock, write

# Added one by one from the left they come to another double than added exactly.
FRACTIONS = [0.1, 0.2, 0.3, 1e15, 0.7, 1e-9]
COUNTER, SUM = key("c", "c_total", {"a": "b"}), key("h", "h_sum")


def _files(directory: Path, parts: list[float]) -> list[Path]:
    return [
        write(directory / f"{kind}_{member}.db", [(text, part, 0.0)])
        for member, part in enumerate(parts)
        for kind, text in (("counter", COUNTER), ("histogram", SUM))
    ]


def _totals(files: list[Path], archive: frozenset[Path] = frozenset()) -> set[float]:
    body = Aggregator().render(files, openmetrics=False, beside=Beside(archive)).body.decode()
    families = list(text_string_to_metric_families(body))
    assert len(families) == 2
    return {sample.value for family in families for sample in family.samples}


def test_order_changes_nothing(tmp_path: Path) -> None:
    files = _files(tmp_path, FRACTIONS)
    for _ in range(20):
        random.shuffle(files)
        assert _totals(files) == {math.fsum(FRACTIONS)}


def test_rests_of_the_archive_are_parts(tmp_path: Path) -> None:
    # 1e16 + 1 is no double: the archive keeps the 1 as a rest.
    archive = {
        write(tmp_path / "counter_archive3.db", [(COUNTER, 1e16, 1.0)]),
        write(tmp_path / "histogram_archive3.db", [(SUM, 1e16, 1.0)]),
    }
    files = [*archive, *_files(tmp_path, [1.0])]

    assert _totals(files, frozenset(archive)) == {1e16 + 2.0}


def test_not_of_our_directory_is_added_as_the_stock_does(tmp_path: Path) -> None:
    files = _files(tmp_path, FRACTIONS)
    plain = Aggregator().render(files, openmetrics=False).body
    assert plain == stock(files)
    assert floatToGoString(sum(FRACTIONS)).encode() in plain


@pytest.mark.parametrize(
    "parts",
    [
        [math.inf, -math.inf, 1.0],
        [math.inf, 1.0],
        [math.nan, 1.0],
        [1.7e308, 1.7e308, -1.7e308],
        [-0.0, -0.0],
        [5.0],
    ],
    ids=str,
)
def test_odd_numbers_are_added_as_the_stock_does(tmp_path: Path, parts: list[float]) -> None:
    files = _files(tmp_path, parts)
    ours = Aggregator().render(files, openmetrics=False, beside=Beside()).body
    assert ours == stock(files) or _totals(files) == {math.fsum(parts)}


def test_two_parts_in_one_file_are_both_added(tmp_path: Path) -> None:
    entries = [(key("c", "c_total", {}, help), 0.5, 0.0) for help in ("One.", "Another.")]
    file = write(tmp_path / "counter_1.db", entries)
    ours = Aggregator().render([file], openmetrics=False, beside=Beside()).body
    assert ours == stock([file])


def test_families_that_files_disagree_about_are_the_stocks(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "counter_1.db", [(key("x", "x"), 0.5, 0.0)]),
        write(tmp_path / "gauge_sum_1.db", [(key("x", "x"), 0.25, 0.0)]),
    ]
    for turned in (files, files[::-1]):
        ours = Aggregator().render(turned, openmetrics=False, beside=Beside()).body
        assert ours == stock(turned)
