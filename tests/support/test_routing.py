"""Rules that are compiled once match and build like any other."""

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, Rule

from tests.support import routing

RULES = ["/", "/a/<int:number>", "/a/<number>", "/a/<path:rest>/b", "/a b/<x>/<y>"]


def urls(map_: Map) -> list[str]:
    adapter = map_.bind("example.org")
    values = {"number": 7, "rest": "x/y", "x": "1 2", "y": "ü", "more": "&"}
    return [
        adapter.build(rule.endpoint, values, append_unknown=unknown)
        for rule in map_.iter_rules()
        for unknown in (True, False)
    ]


def matched(map_: Map, path: str) -> object:
    try:
        return map_.bind("example.org").match(path)
    except NotFound:
        return None


def new_map() -> Map:
    return Map([Rule(text, endpoint=text) for text in RULES])


def test_urls_are_those_of_werkzeug(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Rule.compile is routing._compile_once
    first, second = urls(new_map()), urls(new_map())
    monkeypatch.setattr(Rule, "compile", routing._compile)
    assert urls(new_map()) == first == second


@pytest.mark.parametrize("path", ["/a/7", "/a/x", "/a/x/y/b", "/a b/1/2", "/", "/none/of/them"])
def test_paths_lead_where_werkzeug_leads(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = matched(new_map(), path), matched(new_map(), path)
    monkeypatch.setattr(Rule, "compile", routing._compile)
    assert known == (matched(new_map(), path),) * 2


def test_a_default_is_compiled_for_each_rule() -> None:
    rules = [Rule("/<x>", endpoint=value, defaults={"x": value}) for value in ("one", "two")]
    adapter = Map(rules).bind("example.org")
    assert [adapter.build(value, {"x": value}) for value in ("one", "two")] == ["/one", "/two"]
