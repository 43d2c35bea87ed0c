"""Exemplars of all processes on the lines of OpenMetrics."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from prefork_metrics.aggregation import Aggregator, Beside
from prefork_metrics.exemplars import Exemplar, ExemplarFile
from tests.prefork_metrics.aggregation.support import key, stock, write

BOUNDS = ("0.5", "1.0", "+Inf")
Found = dict[tuple[str, str], tuple[dict[str, str], float, float]]


def _process(directory: Path, member: str, first: str = "/a") -> dict[tuple[str, str], int]:
    """Write a process's histogram; return where the value of each (route, le) is."""
    routes = [first, *({"/a", "/b"} - {first})]
    entries = [
        (key("h", "h_bucket", {"route": route, "le": bound}), 1.0, 0.0)
        for route in routes
        for bound in BOUNDS
    ]
    sums = [(key("h", "h_sum", {"route": route}), 0.25, 0.0) for route in routes]
    path = write(directory / f"histogram_{member}.db", entries + sums)
    content = path.read_bytes()
    places = {}
    for text, _, _ in entries:
        end = content.index(text.encode()) + len(text)
        place = content.index(b"\0\0\0\0\0\0\xf0?", end)
        labels = text.split('"')
        places[labels[labels.index("route") + 2], labels[labels.index("le") + 2]] = place
    return places


def _exemplar(id: str, time: float, value: float = 0.3) -> Exemplar:
    return Exemplar((("request_id", id),), value, time)


def _render(aggregator: Aggregator, directory: Path) -> Found:
    files = sorted(directory.glob("*.db"))
    sides = sorted(directory.glob("*.side"))
    text = aggregator.render(files, openmetrics=True, beside=Beside((), sides)).body.decode()
    return {
        (sample.labels["route"], sample.labels["le"]): _shown(sample.exemplar)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.exemplar
    }


def _shown(exemplar: Any) -> tuple[dict[str, str], float, float]:
    return exemplar.labels, exemplar.value, float(exemplar.timestamp)


def test_the_newest_of_each_bucket_wins_whoever_wrote_it(tmp_path: Path) -> None:
    first, second = _process(tmp_path, "1"), _process(tmp_path, "2", first="/b")
    one, two = (ExemplarFile(tmp_path / f"exemplars_{member}.side") for member in "12")
    one.put(("histogram", first["/a", "0.5"]), _exemplar("old", 10.0))
    two.put(("histogram", second["/a", "0.5"]), _exemplar("new", 11.0))
    two.put(("histogram", second["/b", "+Inf"]), _exemplar("slow", 12.5, 7.5))

    assert _render(Aggregator(), tmp_path) == {
        ("/a", "0.5"): ({"request_id": "new"}, 0.3, 11.0),
        ("/b", "+Inf"): ({"request_id": "slow"}, 7.5, 12.5),
    }


def test_a_new_exemplar_shows_where_no_value_changed_and_goes_with_its_process(
    tmp_path: Path,
) -> None:
    aggregator = Aggregator()
    places = _process(tmp_path, "1")
    file = ExemplarFile(tmp_path / "exemplars_1.side")
    assert _render(aggregator, tmp_path) == {}
    for time, id in enumerate(("one", "two"), 1):
        file.put(("histogram", places["/b", "1.0"]), _exemplar(id, time))
        assert _render(aggregator, tmp_path)["/b", "1.0"][0] == {"request_id": id}

    (tmp_path / "exemplars_1.side").unlink()
    assert _render(aggregator, tmp_path) == {}


def _unusable(directory: Path) -> Iterator[Path]:
    yield directory / "exemplars_1.side"  # vanished
    (directory / "exemplars_2.side").mkdir()
    yield directory / "exemplars_2.side"
    (directory / "exemplars_3.side").write_bytes(b"\xff" * 1000)
    yield directory / "exemplars_3.side"
    ExemplarFile(directory / "exemplars_9.side").put(("histogram", 99), _exemplar("nobody's", 1.0))
    yield directory / "exemplars_9.side"
    ExemplarFile(directory / "exemplars_4.side").put(("histogram", 3), _exemplar("nowhere", 1.0))
    yield directory / "exemplars_4.side"


def test_a_file_that_cannot_be_used_costs_its_exemplars_only(tmp_path: Path) -> None:
    for member in "1234":
        _process(tmp_path, member)
    files = sorted(tmp_path.glob("*.db"))
    beside = Beside((), list(_unusable(tmp_path)))

    rendered = Aggregator().render(files, openmetrics=True, beside=beside)

    assert rendered.errors == []
    assert sorted(rendered.body.split(b"\n")) == sorted(stock(files, True).split(b"\n"))


@pytest.mark.parametrize("openmetrics", [False, True])
def test_the_text_format_has_none(tmp_path: Path, openmetrics: bool) -> None:
    places = _process(tmp_path, "1")
    side = tmp_path / "exemplars_1.side"
    ExemplarFile(side).put(("histogram", places["/a", "0.5"]), _exemplar("x", 1.0))
    files = sorted(tmp_path.glob("*.db"))

    body = Aggregator().render(files, openmetrics, beside=Beside((), [side])).body

    assert (b' # {request_id="x"} 0.3 1.000\n' in body) is openmetrics


def test_of_two_in_one_millisecond_the_earlier_stays(tmp_path: Path) -> None:
    """Prometheus keeps milliseconds, and takes the second for one that goes back in time."""
    first, second = _process(tmp_path, "1"), _process(tmp_path, "2")
    one, two = (ExemplarFile(tmp_path / f"exemplars_{member}.side") for member in "12")
    two.put(("histogram", second["/a", "0.5"]), _exemplar("shown", 10.0001))
    assert _render(Aggregator(), tmp_path)["/a", "0.5"][0] == {"request_id": "shown"}
    one.put(("histogram", first["/a", "0.5"]), _exemplar("later", 10.0004))
    assert _render(Aggregator(), tmp_path)["/a", "0.5"][0] == {"request_id": "shown"}
    two.put(("histogram", second["/a", "0.5"]), _exemplar("later", 10.0009))
    assert _render(Aggregator(), tmp_path)["/a", "0.5"][0] == {"request_id": "shown"}
    one.put(("histogram", first["/a", "0.5"]), _exemplar("newer", 10.002))
    assert _render(Aggregator(), tmp_path)["/a", "0.5"][0] == {"request_id": "newer"}


def test_clock_that_is_set_back_takes_no_exemplar_back(tmp_path: Path) -> None:
    places = _process(tmp_path, "1")
    file = ExemplarFile(tmp_path / "exemplars_1.side")
    file.put(("histogram", places["/a", "0.5"]), _exemplar("before", 4000.0))
    file.put(("histogram", places["/a", "0.5"]), _exemplar("after", 400.0))
    assert _render(Aggregator(), tmp_path)["/a", "0.5"][0] == {"request_id": "before"}
