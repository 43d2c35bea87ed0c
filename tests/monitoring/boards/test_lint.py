"""The dashboards keep every rule, and every rule fails on a dashboard that breaks it."""

import json
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from monitoring.grafana.generator import palette
from tests.monitoring import syntax
from tests.monitoring.boards import lint_boards, lint_colors, lint_panels, lint_queries
from tests.monitoring.boards.lint_boards import BOARDS, DASHBOARDS, WITH_SIGNALS, complaints
from tests.monitoring.boards.promql import parsed
from tests.monitoring.signals.templates import pane_of

Json = dict[str, Any]
Break = Callable[[Json], object]
"""Changes a good dashboard into one that breaks a rule."""

NAME = "vibebox-overview"
RULES = {
    rule.__name__
    for rule in (
        lint_queries.parses,
        *lint_queries.RULES,
        *lint_panels.RULES,
        *lint_colors.RULES,
        *lint_boards.RULES,
    )
}


@cache
def _read(name: str) -> Json:
    board: Json = json.loads((DASHBOARDS / f"{name}.json").read_text())
    return board


@pytest.mark.parametrize("place", [DASHBOARDS, WITH_SIGNALS], ids=["plain", "signals"])
@pytest.mark.parametrize("name", BOARDS)
def test_dashboards_keep_every_rule(name: str, place: Path) -> None:
    board = json.loads((place / f"{name}.json").read_text())
    assert list(complaints(name, board)) == []


def _target(title: str) -> Json:
    """Return the first query of a panel."""
    found = next(panel for panel in _read(NAME)["panels"] if panel["title"] == title)
    return dict(found["targets"][0])


def at(title: str, *path: str | int, value: object) -> Break:
    """Return a change of one value of a panel."""

    def change(board: Json) -> None:
        place: Any = next(panel for panel in board["panels"] if panel["title"] == title)
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def asks(expression: str, legend: str = "x", instant: bool = False) -> Break:
    """Return a change of the query of a graph."""

    def change(board: Json) -> None:
        target = next(
            panel for panel in board["panels"] if panel["title"] == "Response time percentiles"
        )["targets"][0]
        target |= {"expr": expression, "legendFormat": legend}
        target |= {"instant": instant, "range": not instant}

    return change


def leads(text: str, other: str) -> Break:
    """Return a change of a text in the address of a panel that leads to Explore."""

    def change(board: Json) -> None:
        title = "Requests for an account"
        (link,) = next(panel for panel in board["panels"] if panel["title"] == title)["links"]
        assert text in link["url"]
        link["url"] = link["url"].replace(text, other)

    return change


def top(key: str, value: object) -> Break:
    return lambda board: board.update({key: value})


S = 'job=~"$job",instance=~"$instance"'
UP, STATUS, GRAPH = "Service status", "Requests by status class", "Response time percentiles"
REQUESTS = f"vibebox_http_requests_total{{{S}}}"
BUCKETS = f"vibebox_http_request_duration_seconds_bucket{{{S}}}"
ENVIRONMENTS = f"vibebox_environments_total{{{S}}}"
KILLS = 'vibebox_team_oom_kills_total{team=~"$team"}'
OF_TEAMS = 'vibebox_team_environments{team=~"$team"}'
STEPS = ("fieldConfig", "defaults", "thresholds", "steps")
SUM = "sum(rate(%s[$__rate_interval]))"
P95 = f"histogram_quantile(0.95, sum by (le) (rate({BUCKETS}[$__rate_interval])))%s"
COURSE = {"instant": False, "range": True}

BROKEN: tuple[tuple[str, Break], ...] = (
    ("parses", asks("sum(")),
    ("parses", asks('rate(x{a="b"}[$__unknown])')),
    ("selectors_carry_the_choice", asks('min(up{job=~"$job"})')),
    ("selectors_carry_the_choice", asks('min(up{job="vibebox-backend",instance=~"$instance"})')),
    ("selectors_carry_the_choice", asks('min(up{job=~"vibebox-backend",instance=~"$instance"})')),
    ("metrics_and_labels_are_known", asks(f"max(vibebox_no_such_family{{{S}}})")),
    ("metrics_and_labels_are_known", asks(SUM % f'vibebox_http_requests_total{{{S},code="500"}}')),
    ("metrics_and_labels_are_known", asks(f'max(vibebox_environments{{{S},status="gone"}})')),
    (
        "metrics_and_labels_are_known",
        asks(f"sum by (status) (rate({REQUESTS}[$__rate_interval]))", "{{status}}"),
    ),
    ("counters_stand_under_rate", asks(f"sum({REQUESTS})")),
    ("counters_stand_under_rate", asks(f"sum(delta({REQUESTS}[$__rate_interval]))")),
    ("counters_stand_under_rate", asks(f"max({KILLS}) - max({OF_TEAMS} offset $__interval)")),
    ("counters_stand_under_rate", asks(f"max({KILLS})")),
    ("counters_stand_under_rate", asks(SUM % f"vibebox_workers{{{S}}}")),
    ("counters_stand_under_rate", asks(f"max(rate({ENVIRONMENTS}[$__rate_interval]))")),
    ("database_counts_are_never_summed", asks(f"sum({ENVIRONMENTS})")),
    ("database_counts_are_never_summed", asks(f"max(sum by (status) ({ENVIRONMENTS}))")),
    ("ranges_are_grafanas", asks(f"sum(rate({REQUESTS}[7m]))")),
    ("ranges_are_grafanas", asks(f"sum(rate({REQUESTS}[$__range]))")),
    ("buckets_make_quantiles", asks(SUM % BUCKETS)),
    (
        "buckets_make_quantiles",
        asks(f"avg(histogram_quantile(0.95, rate({BUCKETS}[$__rate_interval])))"),
    ),
    (
        "buckets_make_quantiles",
        asks(f"histogram_quantile(0.9, sum by (method) (rate({BUCKETS}[$__rate_interval])))"),
    ),
    (
        "buckets_make_quantiles",
        asks(f"histogram_quantile(0.9, max by (le) (rate({BUCKETS}[$__rate_interval])))"),
    ),
    (
        "sides_of_a_ratio_match",
        asks(
            f"sum by (route) (rate({REQUESTS}[$__rate_interval])) / "
            f"sum(rate({REQUESTS}[$__rate_interval]))",
            "{{route}}",
        ),
    ),
    ("legends_tell_series_apart", asks(SUM % REQUESTS, "{{route}}")),
    ("legends_tell_series_apart", asks(f"sum by (route) (rate({REQUESTS}[$__rate_interval]))")),
    ("legends_tell_series_apart", asks(SUM % REQUESTS, "")),
    ("has_title_and_description", at(UP, "title", value="")),
    ("has_title_and_description", at(UP, "description", value="")),
    ("has_title_and_description", at(UP, "description", value="Status")),
    ("reads_the_chosen_source", at(UP, "datasource", "uid", value="prometheus")),
    ("reads_the_chosen_source", at(UP, "targets", 0, "datasource", value=None)),
    ("unit_is_known", at(UP, "fieldConfig", "defaults", "unit", value="seconds")),
    (
        "unit_is_known",
        at(
            UP,
            "fieldConfig",
            "overrides",
            value=[{"matcher": {}, "properties": [{"id": "unit", "value": "requests"}]}],
        ),
    ),
    ("reducers_are_known", at(UP, "options", "reduceOptions", "calcs", value=["latest"])),
    ("reducers_are_known", at(UP, "options", "reduceOptions", "calcs", value=["last", "max"])),
    ("reducers_are_known", at(GRAPH, "options", "legend", "calcs", value=["p95"])),
    ("transformations_are_known", at(UP, "transformations", value=[{"id": "join"}])),
    ("thresholds_ascend_from_null", at(UP, *STEPS, value=[])),
    ("thresholds_ascend_from_null", at(UP, *STEPS, 0, "value", value=0)),
    ("thresholds_ascend_from_null", at(GRAPH, *STEPS, 1, "value", value=50)),
    ("thresholds_ascend_from_null", at(GRAPH, *STEPS, 2, "value", value=None)),
    ("stacked_graphs_begin_at_zero", at(STATUS, "fieldConfig", "defaults", "min", value=None)),
    ("snapshots_are_instant", at(UP, "targets", 0, "range", value=True)),
    ("snapshots_are_instant", asks(SUM % REQUESTS, instant=True)),
    (
        "snapshots_are_instant",
        at(
            "Requests by method",
            "targets",
            0,
            value={
                **_target("Requests by method"),
                **COURSE,
            },
        ),
    ),
    ("says_that_there_is_nothing", at(UP, "fieldConfig", "defaults", "noValue", value="")),
    ("says_that_there_is_nothing", at(UP, "description", value="Whether it is up.")),
    (
        "says_that_there_is_nothing",
        at(GRAPH, "fieldConfig", "defaults", "noValue", value="nothing"),
    ),
    (
        "curves_have_no_points",
        at(GRAPH, "fieldConfig", "defaults", "custom", "showPoints", value="auto"),
    ),
    ("curves_have_no_points", at(GRAPH, "options", "legend", "displayMode", value="list")),
    ("curves_have_no_points", at(GRAPH, "options", "legend", "calcs", value=["lastNotNull"])),
    ("curves_have_no_points", at(STATUS, "fieldConfig", "overrides", value=[])),
    ("colors_are_of_the_palette", at(GRAPH, *STEPS, 0, "color", value="green")),
    (
        "colors_are_of_the_palette",
        at(GRAPH, "fieldConfig", "defaults", "color", value={"mode": "palette-classic"}),
    ),
    ("red_is_what_is_wrong", at("Request rate", *STEPS, 0, "color", value=palette.CRITICAL)),
    (
        "red_is_what_is_wrong",
        at(
            STATUS,
            "fieldConfig",
            "overrides",
            0,
            "properties",
            0,
            "value",
            "fixedColor",
            value=palette.CRITICAL,
        ),
    ),
    ("snapshots_are_instant", at(UP, "targets", 0, value={**_target(UP), **COURSE})),
    (
        "snapshots_show_numbers",
        at(UP, "targets", 0, value={**_target(UP), "expr": P95 % "", "legendFormat": "p95"}),
    ),
    (
        "snapshots_show_numbers",
        at(UP, "targets", 0, value={**_target(UP), "expr": f"max({P95 % ''})"}),
    ),
    ("exemplars_are_of_latencies", at(GRAPH, "targets", 0, "exemplar", value=False)),
    ("exemplars_are_of_latencies", at(GRAPH, "targets", 1, "exemplar", value=True)),
    ("exemplars_are_of_latencies", at(STATUS, "targets", 0, "exemplar", value=True)),
    ("exemplars_are_of_latencies", at(UP, "targets", 0, "exemplar", value=True)),
    ("links_one_level_down", at(UP, "links", value=[])),
    ("links_one_level_down", at(UP, "links", 0, "url", value="/d/telemetry")),
    ("links_one_level_down", at(UP, "links", 0, "url", value="https://example.org/")),
    (
        "links_one_level_down",
        at(
            UP,
            "links",
            0,
            "url",
            value='/explore?panes={"a":{"datasource":"${datasource}","queries":[{"expr":"x"}]}}',
        ),
    ),
    ("links_one_level_down", leads("${__from}", "now-1h")),
    ("links_one_level_down", leads("${instance:pipe}", "..*")),
    ("links_one_level_down", leads("rate%28", "irate%28")),
    ("stands_as_provisioned", top("uid", "overview")),
    ("stands_as_provisioned", top("editable", True)),
    ("stands_as_provisioned", top("tags", [])),
    ("stands_as_provisioned", top("refresh", "")),
    ("ids_and_titles_are_unique", at(UP, "id", value=3)),
    ("ids_and_titles_are_unique", at(UP, "title", value=GRAPH)),
    ("panels_fill_the_grid", at(UP, "gridPos", "w", value=5)),
    ("panels_fill_the_grid", at(UP, "gridPos", "w", value=3)),
    ("panels_fill_the_grid", at("CPU and memory use", "gridPos", "w", value=17)),
    ("variables_are_used_and_defined", at(UP, "title", value="Status of $cluster")),
    (
        "variables_are_used_and_defined",
        lambda board: board["templating"]["list"].append({"name": "route"}),
    ),
    ("choices_are_the_usual", lambda board: board["templating"]["list"].pop()),
    ("choices_are_the_usual", lambda board: board["templating"]["list"][1].update(multi=False)),
    ("choices_are_the_usual", lambda board: board["templating"]["list"][2].update(allValue=".*")),
    ("marks_alerts_and_restarts", lambda board: board["annotations"]["list"].pop()),
    (
        "marks_alerts_and_restarts",
        lambda board: board["annotations"]["list"][0].update(expr="ALERTS{"),
    ),
    (
        "marks_alerts_and_restarts",
        lambda board: board["annotations"]["list"][0].update(iconColor=palette.CRITICAL),
    ),
    ("links_to_the_others", lambda board: board["links"].pop()),
    ("links_to_the_others", at(UP, "links", 0, "url", value="/d/vibebox-overview")),
)


@pytest.mark.parametrize(
    ("rule", "change"), BROKEN, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(BROKEN)]
)
def test_a_broken_rule_is_found(rule: str, change: Break) -> None:
    board = deepcopy(_read(NAME))
    change(board)

    assert rule in {broken for broken, _ in complaints(NAME, board)}


def test_choices_arrive_in_explore() -> None:
    """As Grafana fills them in: those of several as `a|b`, and all of them as it stands there."""
    panel = next(
        each for each in _read(NAME)["panels"] if each["title"] == "Requests for an account"
    )
    url = panel["links"][0]["url"]
    for choice, value in {"job:pipe": "one|two", "instance:pipe": "..*"}.items():
        url = url.replace(f"${{{choice}}}", value)
    first, *_ = pane_of(url)["queries"]
    asked = {
        tuple(value for _, _, value in syntax.matchers(found))
        for found, _ in syntax.selectors(parsed(first["expr"]))
    }
    assert asked == {("one|two", "..*")}


def test_every_rule_has_a_dashboard_that_breaks_it() -> None:
    assert {rule for rule, _ in BROKEN} == RULES
