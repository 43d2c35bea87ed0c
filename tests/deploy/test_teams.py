"""The wall between the dashboards of teams: nothing in it leads around the proxy of the team."""

from pathlib import Path
from typing import Any

import yaml

from tests.deploy.test_compose import COMPOSE

DIRECTORY = Path(__file__).parents[2] / "deploy" / "teams"


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DIRECTORY / name).read_text())
    return found


WALL = read("docker-compose.teams.yml")
SERVICES = WALL["services"]
PROXIES = {name for name in SERVICES if name != "grafana-teams"}


def test_grafana_of_the_teams_reaches_the_proxies_alone() -> None:
    grafana = set(SERVICES["grafana-teams"]["networks"])
    shipped = COMPOSE["services"]
    assert not grafana & set(shipped["prometheus"]["networks"])
    assert not any(grafana & set(one.get("networks", [])) for one in shipped.values())
    for name in PROXIES:
        assert set(SERVICES[name]["networks"]) & grafana
        assert "monitoring" in SERVICES[name]["networks"]
        assert "ports" not in SERVICES[name]
    # No network of one team has the proxy of another.
    own = [network for name in PROXIES for network in SERVICES[name]["networks"]]
    assert sorted(set(own)) == sorted({"monitoring", *own})
    assert all(own.count(network) == 1 for network in own if network != "monitoring")


def test_each_proxy_holds_to_the_id_of_a_team() -> None:
    for name in PROXIES:
        command = SERVICES[name]["command"]
        assert "-label=team_id" in command
        assert sum(argument.startswith("-label-value=${TEAM_") for argument in command) == 1
        assert {"-enable-label-apis", "-error-on-replace"} <= set(command)


def test_each_organisation_has_the_proxy_of_its_team() -> None:
    files = sorted((DIRECTORY / "datasources").glob("*.yml"))
    organisations = []
    for file in files:
        (source,) = yaml.safe_load(file.read_text())["datasources"]
        assert source["url"] == f"http://prometheus-{file.stem}:9091"
        assert f"prometheus-{file.stem}" in PROXIES
        organisations.append(source["orgId"])
    # The first is Grafana's own, in which the administrator is.
    assert 1 not in organisations
    assert len(set(organisations)) == len(organisations) == len(PROXIES)
