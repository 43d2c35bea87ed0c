"""One directory, read by ours and by the client library's collector: equal totals of every type.

All is on that the client's format cannot hold: exemplars, states, removed series, an archive of the
dead. The stock collector knows nothing of it, and shows the classic types as ours does; of a
removed series it goes on showing what the living had counted before.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from prefork_metrics.directory import absorb
from prefork_metrics.exposition import Encoding, Files
from prefork_metrics.visibility import Visibility
from tests.prefork_metrics.processes import Other
from tests.prefork_metrics.registry import registry

MODES = [f"{live}{mode}" for live in ("", "live") for mode in ("all", "min", "max", "sum")]
MODES += ["mostrecent", "livemostrecent"]
Shown = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Other]]:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    made = [Other() for _ in range(3)]
    yield made
    for one in made:
        one.end()


def shown(text: str) -> Shown:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.startswith(("test_", "vibebox_"))
    }


def by_stock(directory: Path) -> Shown:
    own = CollectorRegistry()
    MultiProcessCollector(own, str(directory))
    return shown(generate_latest(own).decode())


def count(others: list[Other]) -> None:
    """Count with every type and gauge mode, each process something else."""
    for number, one in enumerate(others, 1):
        for label in "ab":
            one.do(
                f"counter.labels('{label}').inc({number}.5, exemplar={{'trace_id': 't{number}'}})",
                f"histogram.labels('{label}').observe(0.{number}, {{'trace_id': 't{number}'}})",
                f"summary.labels('{label}').observe({number})",
                *(f"modes['{mode}'].labels('{label}').set({number * 3 % 5})" for mode in MODES),
            )
        one.do(f"info.labels('a').info({{'of': '{number}'}})", "enum.labels('a').state('on')")


STATES = {"build_info", "mode"}


def test_every_type_and_mode_comes_to_what_stock_shows(others: list[Other], tmp_path: Path) -> None:
    files = Files(registry)

    def ours() -> Shown:
        return shown(files.render(Encoding(""), Visibility(registry)).decode())

    def differing() -> set[tuple[str, frozenset[tuple[str, str]]]]:
        one, two = ours(), by_stock(tmp_path)
        keys = {key for key in one.keys() | two.keys() if key[0] not in STATES}
        return {key for key in keys if one.get(key) != pytest.approx(two.get(key))}

    count(others)
    assert {key[0] for key in ours()} >= {f"of_{mode}" for mode in MODES}
    assert differing() == set()
    assert ours()["build_info", frozenset({("x", "a"), ("of", "3")})] == 1
    text = files.render(Encoding("application/openmetrics-text"), Visibility(registry)).decode()
    assert '# {trace_id="t3"}' in text and 'hits_total{x="a"} 7.5 # {' in text

    # One has died and is absorbed; then a series is removed, whoever had counted it.
    others.pop().kill()
    absorb(tmp_path)
    assert differing() == set()
    others[0].do("counter.remove('b')", "histogram.remove('b')")
    removed = frozenset({("x", "b")})
    assert {key for key in differing() if not removed <= key[1]} == set()
    assert not [
        key for key in ours() if removed <= key[1] and key[0].startswith(("hits", "seconds"))
    ]
    others.pop().kill()
    absorb(tmp_path)
    assert {key for key in differing() if not removed <= key[1]} == set()
