"""The Kubernetes manifests: valid by Kubernetes' own schemas, and true of the service."""

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from app import create_app
from app._version import __version__
from app.core.settings import Settings, environment_name
from tests.deploy.manifests import Object, containers, objects, the

ROOT = Path(__file__).parents[2]
VERSIONS = ("1.31", "1.37")
"""The oldest and the newest that the manifests are for."""
BACKEND = the("Deployment", "vibebox-backend")
POD = BACKEND["spec"]["template"]
SETTINGS = {environment_name(key, field): field for key, field in Settings.model_fields.items()}


def object_name(one: Object) -> str:
    """Return a readable test id."""
    return f"{one['kind']}/{one['metadata']['name']}"


@pytest.fixture(scope="module")
def kubernetes_validate() -> ModuleType:
    """The library; importing it takes seconds, which each process of the tests would pay."""
    return import_module("kubernetes_validate")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("one", objects(), ids=object_name)
def test_manifest_is_valid(one: Object, version: str, kubernetes_validate: ModuleType) -> None:
    kubernetes_validate.validate(one, version, strict=True)


def test_schema_refuses_what_is_misspelt(kubernetes_validate: ModuleType) -> None:
    wrong = the("Deployment", "vibebox-backend")
    wrong["spec"]["replica"] = wrong["spec"].pop("replicas")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[1], strict=True)


def test_each_probe_asks_the_route_that_is_for_it() -> None:
    backend = containers()["backend"]
    asked = {
        kind: backend[kind]["httpGet"]["path"]
        for kind in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert asked == {
        "startupProbe": "/health",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }
    scraped = POD["metadata"]["annotations"]["prometheus.io/path"]
    assert {*asked.values(), scraped} <= app_routes()
    # A check of the service ends before the probe gives up.
    deadline = Settings.model_fields["health_check_timeout"].default
    assert backend["readinessProbe"]["timeoutSeconds"] > deadline


def app_routes() -> set[str]:
    """Return the routes of the application."""
    app = create_app(Settings(database_url="sqlite:///no-such-directory/never-opened.db"))
    return {rule.rule for rule in app.url_map.iter_rules()}


def test_one_port_from_the_pod_to_the_scrape() -> None:
    (port,) = containers()["backend"]["ports"]
    default = Settings.model_fields["port"].default
    assert port["containerPort"] == default
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(default)
    (published,) = the("Service", "vibebox")["spec"]["ports"]
    assert published["targetPort"] == port["name"]


def test_network_policy_admits_prometheus_and_alertmanager_to_that_port() -> None:
    rules = the("NetworkPolicy", "vibebox-backend")["spec"]["ingress"]
    assert all([port["port"] for port in rule["ports"]] == [3000] for rule in rules)
    peers = [peer for rule in rules for peer in rule["from"]]
    monitoring = [
        expression["values"]
        for peer in peers
        if peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
        for expression in peer["podSelector"]["matchExpressions"]
    ]
    assert monitoring == [["prometheus", "alertmanager"]]


def test_selectors_find_the_pods() -> None:
    labels = POD["metadata"]["labels"]
    for one in (BACKEND, the("PodDisruptionBudget", "vibebox"), the("Service", "vibebox")):
        selector = one["spec"]["selector"]
        assert selector.get("matchLabels", selector) == labels
    policy = the("NetworkPolicy", "vibebox-backend")["spec"]["podSelector"]["matchLabels"]
    assert policy == labels


@pytest.mark.parametrize("name", containers())
def test_container_is_confined_and_limited(name: str) -> None:
    container = containers()[name]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} == set(container["resources"]["limits"])
    assert not container["image"].endswith(":latest")


def test_job_and_images_are_those_of_this_release() -> None:
    """An applied Job cannot be changed: each release has one of its own, named after it."""
    name = f"vibebox-migrate-{__version__.replace('.', '-')}"
    assert the("Job", "vibebox-migrate")["metadata"]["name"] == name
    assert f" job/{name}\n" in (ROOT / "deploy" / "README.md").read_text()
    images = [one["image"] for one in containers().values() if "vibebox" in one["image"]]
    assert images == [f"vibebox:{__version__}"] * 3


def test_pods_run_as_the_user_of_the_image() -> None:
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    for one in (BACKEND, the("Job", "vibebox-migrate")):
        context = one["spec"]["template"]["spec"]["securityContext"]
        assert (str(context["runAsUser"]), str(context["runAsGroup"])) == user.groups()


def test_pods_get_no_variables_of_services() -> None:
    for one in (BACKEND, the("Job", "vibebox-migrate")):
        assert one["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_web_server_and_agent_share_the_directory_of_the_metrics() -> None:
    directory = the("ConfigMap", "vibebox")["data"]["PROMETHEUS_MULTIPROC_DIR"]
    for name in ("backend", "agent"):
        paths = [mount["mountPath"] for mount in containers()[name]["volumeMounts"]]
        assert any(directory.startswith(f"{path}/") for path in paths)


def test_pod_is_given_the_time_that_the_server_takes_to_drain() -> None:
    graceful = int(the("ConfigMap", "vibebox")["data"]["VIBEBOX_GRACEFUL_TIMEOUT"])
    command = containers()["backend"]["lifecycle"]["preStop"]["exec"]["command"][-1]
    pause = int(re.findall(r"sleep\((\d+)\)", command)[0])
    assert POD["spec"]["terminationGracePeriodSeconds"] > graceful + pause


def test_settings_exist_and_secrets_come_from_the_secret() -> None:
    given = the("ConfigMap", "vibebox")["data"]
    secrets = {
        item["name"]: item["valueFrom"]["secretKeyRef"]["key"]
        for container in containers().values()
        for item in container["env"]
    }
    assert {*given, *secrets} - {"PGPASSWORD"} <= set(SETTINGS)
    assert not {"VIBEBOX_METRICS_TOKEN", "VIBEBOX_ALERTS_TOKEN", "VIBEBOX_SECRET_KEYS"} & set(given)
    example = the("Secret", "vibebox")["stringData"]
    assert set(secrets.values()) == set(example)
    assert set(example.values()) == {""}, "an example has no values"
