"""monitoring/README.md: its queries and its lists are those of what is shipped."""

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from app.metrics.catalogue import reference_table
from tests.deploy.guide import DOCUMENT, commands, queries

ROOT = Path(__file__).parents[2]
_LINES = re.MULTILINE | re.DOTALL
BOARDS = ROOT / "monitoring" / "grafana" / "dashboards"
RULES = [ROOT / "monitoring" / "prometheus" / name for name in ("alerts.yml", "slo.yml")]
SECTIONS = (
    "Quick start",
    "Dashboards",
    "Metrics reference",
    "Alert rules",
    "Health check endpoints",
    "Troubleshooting",
    "PromQL examples",
    "Production deployment",
    "Security hardening",
    "Backup and disaster recovery",
    "Advanced configuration",
    "Maintenance",
    "Escalation",
    "Scaling",
    "Support",
)
BY_PROMETHEUS = {
    "up": {"job", "instance"},
    "ALERTS": {"alertname", "alertstate", "severity", "job", "instance"},
    "prometheus_config_last_reload_successful": set[str](),
}
SERIES = {"job", "instance", "le"}
"""Labels that Prometheus or a histogram adds to any family."""


def rules(kind: str) -> list[dict[str, Any]]:
    """Return the rules of that kind: alert or record."""
    files = [*RULES, RULES[0].with_name("recording.yml")]
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def families() -> dict[str, set[str]]:
    """Return the labels of each family of the catalogue."""
    rows = re.findall(r"^\| `(\w+)`[^|]*\| \w+ \| ([^|]*) \|", reference_table(), re.MULTILINE)
    return {name: set(re.findall(r"\w+", labels)) - {"none"} for name, labels in rows}


def selectors(node: Any) -> list[Any]:
    """Return the selectors in an expression."""
    if isinstance(node, promql_parser.VectorSelector):
        return [node]
    if isinstance(node, promql_parser.MatrixSelector):
        return [node.vector_selector]
    children = [getattr(node, name, None) for name in ("expr", "lhs", "rhs")]
    children += list(getattr(node, "args", None) or [])
    return [found for child in children if child is not None for found in selectors(child)]


def labels_of(name: str) -> set[str]:
    """Return the labels that a series may have. Raises: KeyError where nothing has that name."""
    recorded = {rule["record"] for rule in rules("record")}
    if name in BY_PROMETHEUS:
        return BY_PROMETHEUS[name]
    if name in recorded:
        return {"job", "slo"}
    known = families()
    return known[name if name in known else re.sub(r"_(bucket|count|sum)$", "", name)] | SERIES


def titles(panels: list[dict[str, Any]]) -> set[str]:
    """Return the titles of panels, and of those in rows that are folded."""
    found = {panel["title"] for panel in panels}
    return found.union(*(titles(panel.get("panels", [])) for panel in panels))


def drawings() -> dict[str, str]:
    """Return what is drawn of each dashboard that is drawn, by its file's name."""
    found = re.findall(r"^\*\*VibeBox - [^(]*\(`([\w-]+)`\)(.*?)(?=^\*\*|^## )", DOCUMENT, _LINES)
    return {name: said.partition("```\n")[2] for name, said in found if "```" in said}


@pytest.mark.parametrize("name", drawings())
def test_panels_that_are_drawn_have_the_titles_of_the_dashboard(name: str) -> None:
    board = json.loads((BOARDS / f"{name}.json").read_text())
    edges = re.findall("^[┌├].*$", drawings()[name], re.MULTILINE)
    drawn = {title for edge in edges for title in re.findall(r" (.+?) [─┬┴┼┐┤]", edge)}
    assert drawn
    assert drawn <= titles(board["panels"])


@pytest.mark.parametrize("query", queries())
def test_query_parses_and_asks_for_what_there_is(query: str) -> None:
    found = selectors(promql_parser.parse(query))
    assert found
    for selector in found:
        matched = {matcher.name for matcher in selector.matchers.matchers}
        if selector.name is None:
            assert matched == {"job"}
        else:
            assert matched <= labels_of(selector.name)


def test_there_are_queries_of_each_kind() -> None:
    assert len(queries()) > 20
    assert "min by (check) (vibebox_health_check_up)" in queries()


@pytest.mark.parametrize("wrong", ["vibebox_no_such_family", 'up{route="/"}'])
def test_query_of_what_is_not_there_is_noticed(wrong: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        test_query_parses_and_asks_for_what_there_is(wrong)


SEVERITIES = ("critical", "warning", "info", "none")


def test_alerts_are_those_of_the_rules() -> None:
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \|", DOCUMENT, re.MULTILINE)
    shipped = [
        (rule["alert"], rule["labels"]["severity"], str(rule.get("for", "0m")))
        for rule in rules("alert")
    ]
    assert sorted(row for row in listed if row[1] in SEVERITIES) == sorted(shipped)


def test_every_section_is_there_and_in_the_table_of_contents() -> None:
    headings = re.findall(r"^## (.*)$", DOCUMENT, re.MULTILINE)
    assert tuple(headings) == SECTIONS
    linked = re.findall(r"\]\(#([\w-]+)\)", DOCUMENT.partition("## ")[0])
    assert linked == [heading.lower().replace(" ", "-") for heading in SECTIONS]


def test_commands_are_run_and_not_only_shown() -> None:
    assert len(commands()) >= 8
    assert any("pg_restore" in block for block in commands().values())


def test_five_common_issues_are_numbered() -> None:
    issues = re.findall(r"^### (\d)\. ", DOCUMENT, re.MULTILINE)
    assert issues == ["1", "2", "3", "4", "5"]


def test_images_named_are_those_of_the_compose_file() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    named = set(re.findall(r"\b(?:prom|grafana)/\w+:v?[\d.]+\d", DOCUMENT))
    assert named
    assert all(f"image: {image}\n" in compose for image in named)
