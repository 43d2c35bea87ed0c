"""The committed dashboards are what the generator writes, and what Grafana is told to load."""

import json
import re
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pytest

from monitoring.grafana.generator import BOARDS, __main__
from monitoring.grafana.generator.model import as_json
from monitoring.grafana.generator.panels import Board, Panel, Query, Row
from monitoring.grafana.generator.surroundings import DATASOURCE_UID
from monitoring.rules.alerts.alerting import WATCHDOG
from monitoring.rules.sources import all_alerts, series_of
from tests.monitoring.boards.lint_boards import BOARDS as NAMES
from tests.monitoring.boards.lint_boards import DASHBOARDS, WITH_SIGNALS, panels
from tests.monitoring.boards.promql import substituted

ROOT = Path(__file__).parents[3]
PROVISIONING = ROOT / "monitoring" / "grafana" / "provisioning"
KNOWN: dict[str, tuple[str, dict[int, str]]] = {
    "vibebox-overview": (
        "VibeBox - Overview",
        {
            2: "Service status",
            3: "Uptime",
            4: "Request rate",
            5: "Server error ratio",
            7: "Requests by status class",
            8: "Requests by method",
            10: "Response time percentiles",
            11: "Top 10 busiest routes",
            13: "Environments by status",
            14: "CPU and memory use",
        },
    ),
    "api-performance": (
        "VibeBox - API performance",
        {
            2: "Latency p50",
            3: "Latency p95",
            4: "Latency p99",
            6: "Request rate by status code",
            7: "Errors by type",
            8: "Errors by route",
            10: "Top 10 slowest routes",
            12: "Active HTTP requests",
            13: "WebSocket connections",
            15: "Database query time by operation",
            16: "Scheduling lag (the threaded counterpart of event-loop lag)",
        },
    ),
    "environments": (
        "VibeBox - Environments",
        {
            2: "Running",
            3: "Stopped",
            4: "Starting",
            5: "Error",
            6: "Environments over time",
            8: "Docker operations by kind",
            9: "Docker failure ratio",
            10: "Docker operation time",
            11: "Slowest docker operations",
            13: "VS Code sessions",
            14: "tmux sessions",
            15: "Shell sessions",
            16: "Sessions by type",
            18: "Extension installations",
            19: "Extension installations by result",
            21: "Log entries by stream",
            22: "Log volume by stream",
        },
    ),
}
"""Title of the dashboards that were there first, and of their 10, 11 and 17 panels by number:
links that people have kept go by it. Others come in rows of their own, numbered after them."""


def test_regenerating_changes_nothing(tmp_path: Path) -> None:
    __main__.main(tmp_path)

    for place in __main__.PLACES:
        written = {file.name: file.read_text() for file in (tmp_path / place).iterdir()}
        committed = {
            file.name: file.read_text() for file in (DASHBOARDS.parent / place).glob("*.json")
        }
        assert written == committed, "run: make generate"
    assert [board.uid for board in BOARDS] == list(NAMES)


def test_every_query_is_written_or_refused() -> None:
    def written(number: int) -> list[str]:
        queries = tuple(Query("vector(1)", str(each)) for each in range(number))
        panel = Panel("Many", "bargauge", 24, "As many as letters.", queries, "none", snapshot=True)
        board = as_json(Board("many", "Many", "Many.", (Row("All", (panel,)),)), (), signals=False)
        return [target["refId"] for target in panels(board)[0]["targets"]]

    assert "".join(written(26)) == ascii_uppercase
    with pytest.raises(ValueError, match="zip"):
        written(27)


def _without_links(board: Any) -> Any:
    board["templating"]["list"] = board["templating"]["list"][:3]
    for panel in panels(board):
        panel["links"] = panel["links"][:1]
        config = panel["fieldConfig"]
        config["defaults"].pop("links", None)
        config["overrides"] = [
            one for one in config["overrides"] if one["properties"][0]["id"] != "links"
        ]
    return board


@pytest.mark.parametrize("name", NAMES)
def test_dashboards_with_traces_and_logs_differ_by_links_alone(name: str) -> None:
    plain, more = (
        json.loads((place / f"{name}.json").read_text()) for place in (DASHBOARDS, WITH_SIGNALS)
    )
    assert _without_links(more) == plain
    # Nothing of a Grafana without those data sources leads to them.
    assert "vibebox-jaeger" not in json.dumps(plain)
    assert "vibebox-loki" not in json.dumps(plain)


@pytest.mark.parametrize("name", KNOWN)
def test_dashboards_that_operators_know_keep_title_and_panels(name: str) -> None:
    board = json.loads((DASHBOARDS / f"{name}.json").read_text())

    title, wanted = KNOWN[name]
    found = {panel["id"]: panel["title"] for panel in panels(board)}
    assert board["title"] == title
    assert {number: found.get(number) for number in wanted} == wanted
    assert all(number > max(wanted) for number in set(found) - set(wanted))


def _families(expression: str) -> set[str]:
    """Return what a query reads, a histogram or a total by the name of its family."""
    found = series_of(substituted(expression))
    return {re.sub(r"_(bucket|count|sum|total)$", "", name) for name, _ in found}


def test_alerts_lead_to_where_what_they_are_about_is_shown() -> None:
    shown = {
        name: set[str]().union(
            *(
                _families(target["expr"])
                for panel in panels(json.loads((DASHBOARDS / f"{name}.json").read_text()))
                for target in panel["targets"]
            )
        )
        for name in NAMES
    }
    bare = {
        alert.name
        for alert in all_alerts()
        if not _families(alert.expression) & shown[alert.dashboard]
    }
    assert bare == {WATCHDOG}  # reads nothing


def _set(file: Path, key: str) -> list[str]:
    return re.findall(rf"^ *(?:- )?{key}: (\S+)$", file.read_text(), re.MULTILINE)


def test_the_data_source_is_the_one_that_panels_begin_with() -> None:
    source = PROVISIONING / "datasources" / "prometheus.yml"

    assert _set(source, "uid") == [DATASOURCE_UID]
    for name in NAMES:
        (choice, *_) = json.loads((DASHBOARDS / f"{name}.json").read_text())["templating"]["list"]
        assert choice["current"]["value"] == DATASOURCE_UID


def test_rate_intervals_follow_the_scrape_interval() -> None:
    source = PROVISIONING / "datasources" / "prometheus.yml"
    prometheus = ROOT / "monitoring" / "prometheus" / "prometheus.yml"

    assert _set(source, "timeInterval") == _set(prometheus, "scrape_interval")
