"""The committed files of rules are what the tables say, and what Prometheus accepts."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from monitoring.rules.__main__ import main
from monitoring.rules.rule import Links
from monitoring.rules.writing import HEADER, files
from tests.backends.prometheus import Prometheus, promtool
from tests.conftest import require
from tests.monitoring.alert_lint import ALWAYS
from tests.monitoring.rules import ALERTS, FILES, PROMETHEUS

SEED = {
    "api-performance": 4,
    "application-health": 7,
    "database-performance": 3,
    "docker-operations": 2,
    "environment-health": 5,
    "websocket-connections": 1,
    "authentication": 2,
}
"""The categories that operators know, and the alerts in each."""


@pytest.mark.parametrize("name", FILES)
def test_rules_are_those_of_the_tables(name: str) -> None:
    text = (PROMETHEUS / name).read_text()
    assert text == files(Links())[name], "run: make generate"
    assert text.startswith(HEADER)


def test_alerts_are_grouped_by_category() -> None:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    found = {group["name"]: len(group["rules"]) for group in groups}
    assert {name: found[name] for name in SEED} == SEED


def test_links_lead_where_the_command_is_told(tmp_path: Path) -> None:
    arguments = [
        "--grafana=https://g.test/",
        "--runbooks=https://r.test/x",
        "--console=https://v.test/",
        f"--directory={tmp_path}",
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    text = "".join((tmp_path / name).read_text() for name in FILES)
    assert text.count("dashboard_url: https://g.test/d/") == len(ALERTS)
    assert text.count("runbook_url: https://r.test/x/") == len(ALERTS)
    assert text.count("explanation_url: https://v.test/service?explain=") == len(ALERTS)


@pytest.mark.integration
def test_prometheus_accepts_its_configuration_and_rules() -> None:
    require("Prometheus", Prometheus.installed())
    config = promtool("check", "config", "--syntax-only", str(PROMETHEUS / "prometheus.yml"))
    assert config.returncode == 0, config.stdout + config.stderr
    rules = promtool("check", "rules", *(str(PROMETHEUS / name) for name in FILES))
    assert rules.returncode == 0, rules.stdout + rules.stderr


def test_the_configuration_names_the_rules_and_their_job() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert set(config["rule_files"]) == set(FILES)
    ours = [rule for name, rule in ALERTS.items() if name not in ALWAYS]
    assert all('job="vibebox-backend"' in rule["expr"] for rule in ours)
    assert "vibebox-backend" in {job["job_name"] for job in config["scrape_configs"]}
