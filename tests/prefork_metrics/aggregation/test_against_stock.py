"""Our text is that of the client library's collector, whatever the files hold."""

import tempfile
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from prefork_metrics.aggregation import Aggregator
from tests.prefork_metrics.aggregation.support import key, stock, write
from tests.sizes import size

# Hundreds of directories, each compared: seconds, not milliseconds.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

Entry = tuple[str, float, float]
FORMATS = pytest.mark.parametrize("openmetrics", [False, True], ids=["text", "openmetrics"])
MODES = ("all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum")
PREFIXES = (
    "counter",
    "histogram",
    "summary",
    *(f"gauge_{mode}" for mode in (*MODES, "mostrecent", "livemostrecent")),
)

members = st.sampled_from(["1", "7", "4711", "ab12cd", "0f" * 16, "archive3"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['a"b', "a\\b", "a\nb", "ü€😀", "\u2028", "", "# EOF", "} 1.0", " "]
)
label_names = st.sampled_from(["a", "route", "pid", "zz", "x.y", "naïve"])
labels = st.dictionaries(label_names, texts, max_size=2)
values = st.floats() | st.sampled_from([0.0, -0.0, 1.0, 1e6, 1234567.0, 1e21, 5e-324])
timestamps = st.sampled_from([0.0, 1.0, 2.5, 1.7e9]) | st.floats(0, 1e10)
bounds = st.sampled_from(["0.005", "0.5", "1.0", "1", "10", "2.5e+06", "+Inf", "-1.0"])


@st.composite
def _entries(draw: Callable[..., object], prefix: str) -> list[Entry]:
    def one(strategy: st.SearchStrategy[str]) -> str:
        return str(draw(strategy))

    kind = prefix.partition("_")[0]
    suffixes = {
        "counter": ["_total", "_created"],
        "histogram": ["_bucket", "_bucket", "_sum", "_count", "_created"],
        "summary": ["_sum", "_count"],
        "gauge": [""],
    }[kind]
    entries = []
    for _ in range(int(one(st.integers(0, 8).map(str)))):
        family = prefix + "_" + one(st.sampled_from(["a", "b", "with:colon", "döt.ted"]))
        suffix = one(st.sampled_from(suffixes))
        chosen: dict[str, str] = draw(labels)  # type: ignore[assignment]
        if suffix == "_bucket":
            chosen = {**chosen, "le": one(bounds)}
        help = one(st.sampled_from(["Help.", 'H\\e\n"lp', ""]))
        value: float = draw(values)  # type: ignore[assignment]
        timestamp: float = draw(timestamps)  # type: ignore[assignment]
        entries.append((key(family, family + suffix, chosen, help), value, timestamp))
    return entries


@st.composite
def _directories(draw: Callable[..., object]) -> dict[str, list[Entry]]:
    names: set[tuple[str, str]] = draw(  # type: ignore[assignment]
        st.sets(st.tuples(st.sampled_from(PREFIXES), members), max_size=8)
    )
    return {
        f"{prefix}_{member}.db": draw(_entries(prefix))  # type: ignore[misc]
        for prefix, member in names
    }


def _lines(text: bytes) -> list[bytes]:
    return sorted(text.split(b"\n"))


def _series(text: bytes, openmetrics: bool) -> list[str]:
    parse = parse_openmetrics if openmetrics else parse_text
    return sorted(
        f"{family.name} {family.type} {family.documentation} {sample}"
        for family in parse(text.decode())
        for sample in family.samples
    )


@FORMATS
@settings(
    deadline=None,
    max_examples=size(60, 300),
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(rounds=st.lists(_directories(), min_size=1, max_size=3), some_leave=st.booleans())
def test_text_is_the_stock_collectors(
    openmetrics: bool, rounds: list[dict[str, list[Entry]]], some_leave: bool
) -> None:
    aggregator = Aggregator()
    with tempfile.TemporaryDirectory() as name:
        # Each round writes into the files of those before it, some of which go: as processes do.
        for directory in rounds:
            for file in Path(name).iterdir():
                if some_leave and file.name not in directory:
                    file.unlink()
            for file_name, entries in directory.items():
                write(Path(name, file_name), entries)
            files = sorted(Path(name).iterdir(), key=lambda file: file.name[::-1])
            ours = aggregator.render(files, openmetrics)
            assert ours.errors == []
            assert _lines(ours.body) == _lines(stock(files, openmetrics))


def _well_formed(member: int, offset: float) -> Iterable[tuple[str, list[Entry]]]:
    odd = {"route": 'ü"\\\n😀', "method": "GET"}
    buckets = [
        (key("h", "h_bucket", {**odd, "le": bound}, "H."), offset + 1, 0.0)
        for bound in ("0.5", "1.0", "+Inf")
    ]
    nan = float("nan") if member == 2 else offset
    yield f"histogram_{member}.db", [*buckets, (key("h", "h_sum", odd, "H."), offset, 0.0)]
    yield f"counter_{member}.db", [(key("c", "c_total", odd), 0.1 * member, 0.0)]
    yield f"gauge_all_{member}.db", [(key("g", "g", odd), -offset, 0.0)]
    yield f"gauge_max_{member}.db", [(key("m", "m"), nan, 0.0), (key("n", "n"), -offset, 0.0)]
    yield f"gauge_mostrecent_{member}.db", [(key("r", "r"), float("inf"), float(member))]


@FORMATS
def test_parsed_families_are_the_stock_collectors(tmp_path: Path, openmetrics: bool) -> None:
    for member in range(1, 5):
        for name, entries in _well_formed(member, member * 1.3):
            write(tmp_path / name, entries)
    files = sorted(tmp_path.iterdir())
    text = Aggregator().render(files, openmetrics).body
    assert _series(text, openmetrics) == _series(stock(files, openmetrics), openmetrics)


@FORMATS
@pytest.mark.parametrize("escaping", ["allow-utf-8", "underscores", "dots", "values"])
def test_every_escaping_scheme_is_the_clients(
    tmp_path: Path, openmetrics: bool, escaping: str
) -> None:
    entry = (key("döt.ted_x:y", "döt.ted_x:y_total", {"naïve.label": "ü"}), 1.0, 0.0)
    files = [write(tmp_path / "counter_1.db", [entry])]
    ours = Aggregator().render(files, openmetrics, escaping)
    assert ours.body == stock(files, openmetrics, escaping)


def test_files_that_disagree_about_a_family_are_taken_as_the_stock_does(tmp_path: Path) -> None:
    names = ["counter_1.db", "gauge_all_1.db", "gauge_min_2.db", "gauge_max_3.db", "histogram_1.db"]
    entries = [
        (key("x", "x", {}, "First."), 3.0, 1.0),
        (key("x", "x_bucket", {"le": "1.0"}, "Second."), 2.0, 1.0),
        (key("y", "y", {}, "Third."), 5.0, 1.0),
    ]
    files = [write(tmp_path / name, entries) for name in names]
    files.append(write(tmp_path / "gauge_mostrecent_9.db", [(key("z", "z"), 1.0, 1.0)]))
    for start in range(len(files)):
        turned = files[start:] + files[:start]
        ours = Aggregator().render(turned, openmetrics=False).body
        assert _lines(ours) == _lines(stock(turned))


@pytest.mark.parametrize("mode", ["min", "max", "livemin", "livemax"])
def test_the_first_of_equals_wins_as_the_stock_has_it(tmp_path: Path, mode: str) -> None:
    for first, second in [(0.0, -0.0), (-0.0, 0.0), (float("nan"), 1.0), (1.0, float("nan"))]:
        files = [
            write(tmp_path / f"gauge_{mode}_1.db", [(key("g", "g"), first, 0.0)]),
            write(tmp_path / f"gauge_{mode}_2.db", [(key("g", "g"), second, 0.0)]),
        ]
        assert Aggregator().render(files, openmetrics=False).body == stock(files)


def test_order_is_stable_and_buckets_rise(tmp_path: Path) -> None:
    bounds = ["+Inf", "10.0", "0.5", "2.0"]
    entries = [(key("h", "h_sum", {"a": "b"}), 1.0, 0.0)]
    entries += [(key("h", "h_bucket", {"a": "b", "le": bound}), 1.0, 0.0) for bound in bounds]
    files = [
        write(tmp_path / "histogram_1.db", entries),
        write(tmp_path / "histogram_2.db", reversed(entries)),
        write(tmp_path / "counter_1.db", [(key("c", "c_total"), 1.0, 0.0)]),
    ]
    text = Aggregator().render(files, openmetrics=False).body
    assert text == Aggregator().render(files[::-1], openmetrics=False).body
    assert [line.partition(b" ")[0] for line in text.splitlines() if line[:1] != b"#"] == [
        b"c_total",
        b'h_bucket{a="b",le="0.5"}',
        b'h_bucket{a="b",le="2.0"}',
        b'h_bucket{a="b",le="10.0"}',
        b'h_bucket{a="b",le="+Inf"}',
        b'h_sum{a="b"}',
        b'h_count{a="b"}',
    ]
    families = [line.split()[2] for line in text.splitlines() if line.startswith(b"# TYPE")]
    assert all(before < after for before, after in pairwise(families))
