"""The configurations of Prometheus beyond one host: they load, and do what they are for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.metrics.catalogue import reference_table
from tests.backends import http
from tests.backends.prometheus import Prometheus, promtool
from tests.conftest import require
from tests.deploy.manifests import the

pytestmark = pytest.mark.integration
DIRECTORY = Path(__file__).parents[2] / "deploy" / "prometheus"
NAMES = ("blackbox.yml", "federation.yml", "remote-write.yml", "usage.yml")
SHIPPED = Path(__file__).parents[2] / "monitoring" / "prometheus" / "prometheus.yml"


def read(name: str) -> dict[str, Any]:
    """Return one of the configurations."""
    found: dict[str, Any] = yaml.safe_load((DIRECTORY / name).read_text())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_promtool_accepts_it(name: str) -> None:
    require("Prometheus", Prometheus.installed())
    result = promtool("check", "config", "--syntax-only", str(DIRECTORY / name))
    assert result.returncode == 0, result.stdout + result.stderr


def test_long_term_storage_leaves_out_families_that_exist() -> None:
    (target,) = read("remote-write.yml")["remote_write"]
    for rule in target["write_relabel_configs"]:
        for series in rule["regex"].split("|"):
            assert f"`{series.removesuffix('_bucket')}` | histogram" in reference_table()


def discovered(pod: dict[str, Any], phase: str = "Running") -> list[dict[str, Any]]:
    """Return what Kubernetes discovery finds of a pod: a target for each port, or one without."""

    def name(text: str) -> str:
        return "".join(one if one.isalnum() else "_" for one in text)

    meta = {"pod_name": "vibebox-backend-7f-x", "pod_phase": phase, "namespace": "vibebox"}
    for key, value in pod["metadata"]["labels"].items():
        meta[f"pod_label_{name(key)}"] = value
    for key, value in pod["metadata"]["annotations"].items():
        meta[f"pod_annotation_{name(key)}"] = value
    found = []
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or [{}]:
            number = str(port.get("containerPort", ""))
            labels = {"pod_container_name": container["name"], **meta}
            if number:
                labels["pod_container_port_number"] = number
            prefixed = {f"__meta_kubernetes_{key}": value for key, value in labels.items()}
            address = f"10.1.2.3:{number}" if number else "10.1.2.3"
            found.append({"targets": [address], "labels": prefixed})
    return found


def relabelled(directory: Path, groups: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Have promtool do the discovery, from a file in the place of Kubernetes' API."""
    config = read("kubernetes.yml")
    (job,) = config["scrape_configs"]
    # Debian's build knows no Kubernetes: what is found is the test's, what becomes of it is not.
    (discovery,) = job.pop("kubernetes_sd_configs")
    assert discovery == {"role": "pod", "namespaces": {"names": ["vibebox"]}}
    job["file_sd_configs"] = [{"files": [str(directory / "pods.json")]}]
    token = directory / "token"
    token.write_text("made-up")
    job["authorization"]["credentials_file"] = str(token)
    (directory / "pods.json").write_text(json.dumps(groups))
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = ("check", "service-discovery", "--timeout=2s")
    result = promtool(*command, str(directory / "prometheus.yml"), str(job["job_name"]))
    assert result.returncode == 0, result.stdout + result.stderr
    return [found["labels"] for found in json.loads(result.stdout) if found.get("labels")]


def test_kubernetes_finds_each_pod_once_and_leaves_out_what_ended(tmp_path: Path) -> None:
    require("Prometheus", Prometheus.installed())
    pod = the("Deployment", "vibebox-backend")["spec"]["template"]
    groups = [*discovered(pod), *discovered(pod, "Succeeded")]
    (target,) = relabelled(tmp_path, groups)
    assert target["__address__"] == "10.1.2.3:3000"
    assert target["__metrics_path__"] == "/health/metrics"
    assert target["instance"] == "vibebox-backend-7f-x"
    assert target["job"] == yaml.safe_load(SHIPPED.read_text())["scrape_configs"][0]["job_name"]


def test_federation_takes_what_rules_record_and_leaves_the_rest(
    prometheus: Callable[..., Prometheus], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yml"
    rule = {"record": "vibebox:made_up:sum", "expr": 'sum(up{job="vibebox-backend"})'}
    rules.write_text(json.dumps({"groups": [{"name": "one", "rules": [rule]}]}))
    site = prometheus(["127.0.0.1:1"], extra_config=f"rule_files: [{json.dumps(str(rules))}]")
    site.wait_for("vibebox:made_up:sum")
    (job,) = read("federation.yml")["scrape_configs"]
    answer = http.get(f"{site.url}{job['metrics_path']}", job["params"])
    names = {line.partition("{")[0] for line in answer.text.splitlines() if line[:1] != "#"}
    assert answer.status_code == 200
    # scrape_duration_seconds and its like are there, and stay there.
    assert site.query("scrape_duration_seconds") != []
    assert names - {""} == {"vibebox:made_up:sum", "up"}
