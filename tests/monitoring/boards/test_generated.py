"""The committed dashboards are what the generator writes, and what Grafana is told to load."""

import json
import re
from pathlib import Path

import pytest

from monitoring.grafana.generator import BOARDS, __main__
from monitoring.grafana.generator.surroundings import DATASOURCE_UID
from tests.monitoring.boards.lint_boards import BOARDS as NAMES
from tests.monitoring.boards.lint_boards import DASHBOARDS, panels

ROOT = Path(__file__).parents[3]
PROVISIONING = ROOT / "monitoring" / "grafana" / "provisioning"
SEED = {
    "vibebox-overview": ("VibeBox - Overview", 10),
    "api-performance": ("VibeBox - API performance", 11),
    "environments": ("VibeBox - Environments", 17),
}
"""Title and number of panels of the dashboards that were there first."""


def test_regenerating_changes_nothing(tmp_path: Path) -> None:
    __main__.main(tmp_path)

    written = {file.name: file.read_text() for file in tmp_path.iterdir()}
    committed = {file.name: file.read_text() for file in DASHBOARDS.iterdir()}
    assert written == committed, "run: make generate"
    assert [board.uid for board in BOARDS] == list(NAMES)


@pytest.mark.parametrize("name", SEED)
def test_dashboards_of_the_seed_keep_title_and_panels(name: str) -> None:
    board = json.loads((DASHBOARDS / f"{name}.json").read_text())

    assert (board["title"], len(panels(board))) == SEED[name]


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
