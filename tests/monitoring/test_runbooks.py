"""Every alert has a runbook with the four parts, and queries that Prometheus can answer."""

import re

import pytest

from tests.monitoring.promql import COUNTERS, calls, parse, selectors, unknown_names
from tests.monitoring.rules import ALERTS, MONITORING

RUNBOOKS = MONITORING / "runbooks"
PARTS = ["Meaning", "Impact", "Diagnosis", "Remedy"]
_QUERY = re.compile(r"```promql\n(.*?)\n```", re.DOTALL)


def text_of(name: str) -> str:
    return (RUNBOOKS / f"{name}.md").read_text()


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_runbook_has_its_parts(name: str) -> None:
    text = text_of(name)
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == PARTS
    bodies = re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]
    assert all(len(body.strip()) > 20 for body in bodies)


@pytest.mark.parametrize("name", ALERTS)
def test_runbook_has_three_queries_on_series_of_the_catalogue(name: str) -> None:
    queries = _QUERY.findall(text_of(name))
    assert len(set(queries)) == 3
    for query in queries:
        tree = parse(query)
        assert list(unknown_names(tree)) == [], query
        under = {it.name for call in calls(tree, "rate", "increase") for it in selectors(call)}
        assert under == {it.name for it in selectors(tree)} & COUNTERS, query


@pytest.mark.parametrize("name", ALERTS)
def test_runbook_names_settings_and_alerts_that_exist(name: str) -> None:
    from app.settings import Settings, environment_name

    known = {environment_name(key, field) for key, field in Settings.model_fields.items()}
    text = text_of(name)
    assert set(re.findall(r"VIBEBOX_[A-Z][A-Z0-9_]*", text)) <= known
    linked = set(re.findall(r"\]\((\w+)\.md\)", text))
    assert linked <= set(ALERTS)
