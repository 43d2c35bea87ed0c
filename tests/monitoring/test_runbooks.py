"""Every alert has a runbook with the four parts, and queries that Prometheus can answer."""

import re
import shlex

import pytest
import yaml

from tests.monitoring.promql import COUNTERS, calls, parse, selectors, unknown_names
from tests.monitoring.rules import ALERTS, MONITORING

RUNBOOKS = MONITORING / "runbooks"
PARTS = ["Meaning", "Impact", "Diagnosis", "Remedy"]
_QUERY = re.compile(r"```promql\n(.*?)\n```", re.DOTALL)


_COMMAND = re.compile(r"`((?:docker|curl|vibebox|py-spy|dmesg|iostat|journalctl|ls) ?[^`]*)`")
COMPOSE = {"ps", "logs", "exec", "restart", "stop", "up"}
OF_THE_HOST = (
    "docker info",
    "docker system df",
    "journalctl -u docker",
    "journalctl -u vibebox-agent -n 100",
    "iostat -x",
    "dmesg",
)
"""What only root of some host can ask, and no test of ours."""


def commands() -> list[str]:
    """Return every command that a runbook tells to type, each once."""
    texts = (path.read_text() for path in sorted(RUNBOOKS.glob("*.md")))
    found = [" ".join(command.split()) for text in texts for command in _COMMAND.findall(text)]
    named = ("docker", "docker.sock", "ls")  # as words, not to be typed
    return [command for command in dict.fromkeys(found) if command not in named]


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
    from app.core.settings import Settings, environment_name

    known = {environment_name(key, field) for key, field in Settings.model_fields.items()}
    text = text_of(name)
    assert set(re.findall(r"VIBEBOX_[A-Z][A-Z0-9_]*", text)) <= known
    linked = set(re.findall(r"\]\((\w+)\.md\)", text))
    assert linked <= set(ALERTS)


def test_commands_can_be_typed_as_they_stand() -> None:
    """In Compose's directory; those that change nothing for good are run by tests/deploy."""
    services = yaml.safe_load((MONITORING.parent / "docker-compose.yml").read_text())["services"]
    for command in commands():
        if command in OF_THE_HOST or "PID" in command:
            continue
        words = shlex.split(command)
        if words[:2] == ["docker", "compose"]:
            assert words[2] in COMPOSE, command
            named = [word for word in words[3:] if word in services]
            assert named or words[2] in ("ps", "up"), command
        elif words[0] == "curl":
            assert re.search(r"http://localhost:3000/health/(live|ready)$", command), command
        else:
            assert words[0] == "vibebox", command


def test_no_command_is_broken_over_two_lines() -> None:
    """Whoever copies it would type the end of the line."""
    for path in RUNBOOKS.glob("*.md"):
        text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
        assert [line for line in text.splitlines() if line.count("`") % 2] == [], path.name
