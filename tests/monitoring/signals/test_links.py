"""Links into traces and logs keep every rule, and every rule fails on a link that breaks it."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from tests.monitoring.signals import links, lint_links
from tests.monitoring.signals.links import Link, of_boards, of_sources, sources
from tests.monitoring.signals.lint_links import complaints
from tests.monitoring.signals.templates import expand, pane_of, provisioned

Json = dict[str, Any]


def all_links() -> Iterator[Link]:
    yield from of_sources(sources())
    yield from of_boards()


def test_links_keep_every_rule() -> None:
    assert [found for link in all_links() for found in complaints(link)] == []


def test_there_are_links_of_every_sort() -> None:
    sorts = {link.sort for link in all_links() if lint_links.is_ours(link)}
    assert sorts == set(links.Sort.__args__)  # type: ignore[attr-defined]


def link(where: str) -> Link:
    """Return the one link of this place."""
    (found,) = (one for one in all_links() if one.where == where)
    return found


EXEMPLAR, LINE, LINES = "exemplars, trace_id", "lines, Request", "vibebox-jaeger, to logs"
NUMBERS = "vibebox-jaeger, Requests of this route"
PANEL = "vibebox-overview: Response time percentiles, Log lines"
SERIES = "api-performance: Errors by route, series: Traces"
TRACES = "api-performance: Latency p95, Traces"

BROKEN: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("variables_are_there", SERIES, lambda text: text.replace("labels.route", "labels.model")),
    ("variables_are_there", LINES, lambda text: text.replace("__trace", "__traces")),
    ("variables_are_there", PANEL, lambda text: text.replace("${service", "${cluster")),
    ("texts_are_encoded", SERIES, lambda text: text.replace(":percentencode", "")),
    ("source_is_provisioned", EXEMPLAR, lambda text: text.replace("vibebox-jaeger", "tempo")),
    ("panels_keep_their_time", PANEL, lambda text: text.replace("${__from}", "now-1h")),
    ("service_is_chosen", PANEL, lambda text: text.replace("${service:percentencode}", "vibebox")),
    ("service_is_chosen", TRACES, lambda text: text.replace("${service:percentencode}", "vibebox")),
    ("traces_are_searched_as_jaeger_can", SERIES, lambda text: text.replace("http.route", "route")),
    ("traces_are_searched_as_jaeger_can", SERIES, lambda text: text.replace("search", "traceql")),
    (
        "traces_are_searched_as_jaeger_can",
        TRACES,
        lambda text: text.replace("me%3D", "me%3A"),
    ),
    ("traces_are_searched_as_jaeger_can", EXEMPLAR, lambda text: text.replace("${__v", "x${__v")),
    ("lines_are_searched_by_known_fields", LINES, lambda text: text.replace("trace_id", "trace")),
    ("lines_are_searched_by_known_fields", LINES, lambda text: text.replace("=~", "~=")),
    ("lines_are_searched_by_known_fields", LINES, lambda text: text.replace(".+", ".*")),
    ("lines_are_searched_by_known_fields", LINE, lambda text: text.replace("%7C", "%7C%20json")),
    ("lines_are_searched_by_known_fields", PANEL, lambda text: text.replace("duration", "time")),
    ("numbers_are_known", NUMBERS, lambda text: text.replace("rate(", "rate(sum(")),
    ("numbers_are_known", NUMBERS, lambda text: text.replace("requests_total", "requests")),
)


@pytest.mark.parametrize(
    ("rule", "where", "change"), BROKEN, ids=[f"{rule}-{n}" for n, (rule, *_) in enumerate(BROKEN)]
)
def test_a_broken_rule_is_found(rule: str, where: str, change: Callable[[str], str]) -> None:
    good = link(where)
    bad = replace(good, template=change(good.template))
    assert bad.template != good.template
    assert rule in {broken for broken, _ in complaints(bad)}


def test_a_tag_that_no_span_has_is_found() -> None:
    found = deepcopy(sources())
    found["vibebox-jaeger"]["jsonData"]["tracesToMetrics"]["tags"][0]["key"] = "url.route"
    broken = {rule for one in of_sources(found) for rule, _ in complaints(one)}
    assert broken == {"numbers_are_known"}


def test_every_rule_has_a_link_that_breaks_it() -> None:
    assert {rule for rule, *_ in BROKEN} == {rule.__name__ for rule in lint_links.RULES}


def test_a_variable_of_a_file_is_grafana_s_own_only_behind_two_signs() -> None:
    assert provisioned({"a": ["$${b.c:raw} $$d", "${e}$f", 1]}) == {"a": ["${b.c:raw} $d", "", 1]}


def test_values_are_encoded_as_the_variable_says() -> None:
    values = {"a": 'x y/"&', "b.c": "ü"}
    assert expand("$a ${a:percentencode}", values) == 'x y/"& x%20y%2F%22%26'
    assert expand("${a} ${b.c:raw}", values, "uriencode") == "x%20y/%22& ü"


@pytest.mark.parametrize("address", ["/d/x", "/explore?schemaVersion=1&panes={}", "/explore?a=b"])
def test_other_addresses_are_no_pane(address: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        pane_of(address)
