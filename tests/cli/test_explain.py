"""`vibebox explain` needs settings, and neither the service nor its database."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from click.testing import CliRunner, Result

from app.cli.main import main
from tests.explaining.world import NAME, OOM, ROUTE, TRACE, World
from tests.support.stand_in import StandIn

Explain = Callable[..., Result]


@pytest.fixture
def world() -> Iterator[World]:
    with closing(StandIn()) as peer:
        yield World(peer)


@pytest.fixture
def explain(world: World, monkeypatch: pytest.MonkeyPatch) -> Explain:
    """Runs the command with settings whose database is not there."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    for setting in ("PROMETHEUS", "TRACE_STORE", "LOG_STORE"):
        monkeypatch.setenv(f"VIBEBOX_{setting}_URL", world.peer.url)
    return lambda *arguments: CliRunner().invoke(main, ["explain", *arguments])


def test_everything_that_is_known_is_printed(explain: Explain, world: World) -> None:
    result = explain(NAME)

    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == f"{NAME} fires since 2026-01-31 12:00:00Z. It fails"
    assert lines[1] == "Culprit: docker_operation start"
    assert lines[2] == f"  route {ROUTE}: the worst of 2 (12)"
    assert f"{TRACE} POST {ROUTE} 2.000 s: longest POST {ROUTE} 1.999 s" in result.output
    assert "failed docker start (EngineUnreachableError)" in result.output
    assert "info request path=/x problem=engine-unreachable" in result.output
    assert f"{world.environment}" in result.output


def test_answer_of_the_api(explain: Explain) -> None:
    found = json.loads(explain("--json", NAME).output)

    assert found["culprit"] == {"kind": "docker_operation", "id": "start"}
    (environment,) = found["environments"]["items"]
    assert environment["missing"]  # there is no database to ask


def test_what_only_the_database_knows_is_said(explain: Explain) -> None:
    assert "Culprit: none found: The database did not answer" in explain(OOM).output


def test_reason_that_is_one_for_all_is_said_once(explain: Explain, world: World) -> None:
    world.rules[0]["alerts"].clear()
    result = explain(NAME)

    assert result.output.count("it does not fire now") == 1, result.output


def test_alert_that_nobody_knows(explain: Explain, monkeypatch: pytest.MonkeyPatch) -> None:
    result = explain("NoSuchAlert")
    assert (result.exit_code, "database" in result.output) == (2, True)  # it might know it

    monkeypatch.delenv("VIBEBOX_PROMETHEUS_URL")
    assert explain(NAME).exit_code == 2


def test_what_a_rule_says_steers_no_terminal(explain: Explain, world: World) -> None:
    world.rules[0]["alerts"][0]["annotations"]["summary"] = "\x1b]0;owned\x07 fails"

    assert "\x1b" not in explain(NAME).output
