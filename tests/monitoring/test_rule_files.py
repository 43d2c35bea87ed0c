"""The committed files of rules are what the tables say, and what Prometheus accepts."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from monitoring.rules.__main__ import main
from monitoring.rules.rule import Links
from monitoring.rules.writing import HEADER, files
from tests.backends import http
from tests.backends.programs import Program, free_port
from tests.backends.prometheus import promtool
from tests.backends.prometheus_releases import PROMTOOLS, RELEASES, missing_promtool
from tests.conftest import require
from tests.monitoring.alert_lint import ALWAYS
from tests.monitoring.rules import ALERTS, FILES, PROMETHEUS

CATEGORIES = {
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
    assert {name: found[name] for name in CATEGORIES} == CATEGORIES


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


ONLY_3_9 = ("scrape_native_histograms", "always_scrape_classic_histograms")
"""Settings of the shipped configuration that a Prometheus 2 would refuse."""


@pytest.mark.integration
@pytest.mark.parametrize("program", PROMTOOLS.values(), ids=PROMTOOLS)
def test_prometheus_accepts_rules_and_the_configuration_for_older_ones(
    program: str, tmp_path: Path
) -> None:
    require("promtool", missing_promtool(program))
    readme = (PROMETHEUS.parent / "README.md").read_text()
    (command,) = re.findall(r"^sed .*> prometheus-2\.yml$", readme, re.MULTILINE)
    output = tmp_path / "older.yml"
    subprocess.run(
        command.replace("> prometheus-2.yml", f"> {output}"),
        shell=True,
        check=True,
        cwd=PROMETHEUS.parents[1],
    )
    shipped = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    for name in ONLY_3_9:
        assert shipped["scrape_configs"][0].pop(name) is True
    assert yaml.safe_load(output.read_text()) == shipped
    config = promtool("check", "config", "--syntax-only", str(output), program=program)
    assert config.returncode == 0, config.stdout + config.stderr
    rules = promtool("check", "rules", *(str(PROMETHEUS / name) for name in FILES), program=program)
    assert rules.returncode == 0, rules.stdout + rules.stderr


@pytest.mark.full  # its build takes minutes
@pytest.mark.integration
def test_the_shipped_configuration_loads_in_a_prometheus_that_knows_all_of_it(
    tmp_path: Path,
) -> None:
    release = RELEASES["3.16"]
    require("Prometheus 3", release.missing())
    for name in FILES:
        shutil.copy(PROMETHEUS / name, tmp_path)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "metrics_token").write_text("token")
    text = (PROMETHEUS / "prometheus.yml").read_text().replace("/etc/prometheus", str(tmp_path))
    (tmp_path / "prometheus.yml").write_text(text)
    # As Compose starts it, but for where things lie.
    compose = yaml.safe_load((PROMETHEUS.parents[1] / "docker-compose.yml").read_text())
    features = [
        flag
        for flag in compose["services"]["prometheus"]["command"]
        if flag.startswith("--enable-feature")
    ]
    assert features == list(release.flags)
    started = Program(
        [
            release.program,
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{(port := free_port())}",
            *features,
        ],
        tmp_path / "log",
    )
    started.start()
    try:
        started.wait_ready(lambda: http.answers(f"http://127.0.0.1:{port}/-/ready"), 30)
        answer = http.get(f"http://127.0.0.1:{port}/api/v1/status/config").json()
    finally:
        started.stop()
    loaded = yaml.safe_load(answer["data"]["yaml"])["scrape_configs"][0]
    assert [loaded[name] for name in ONLY_3_9] == [True, True]
    assert loaded["scrape_protocols"][0] == "PrometheusProto"
    assert "unknown option" not in (tmp_path / "log").read_text().lower()


def test_the_configuration_names_the_rules_and_their_job() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert set(config["rule_files"]) == set(FILES)
    ours = [rule for name, rule in ALERTS.items() if name not in ALWAYS]
    assert all('job="vibebox-backend"' in rule["expr"] for rule in ours)
    assert "vibebox-backend" in {job["job_name"] for job in config["scrape_configs"]}
