"""The Compose file: what it promises, and what the real program says of it."""

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.agent.usage import ends
from app.core.settings import Settings, environment_name
from app.engine import run_end
from app.web.gunicorn_worker import descriptors
from tests.conftest import require

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
REQUIRED = {
    "POSTGRES_PASSWORD": "made-up",
    "GRAFANA_ADMIN_PASSWORD": "made-up",
    "VIBEBOX_METRICS_TOKEN": "made-up",
    "DOCKER_GID": "998",
}
PORTS = {"backend": 3000, "prometheus": 9090, "alertmanager": 9093, "grafana": 3001}
MADE = {*REQUIRED, "VIBEBOX_ALERTS_TOKEN"}
"""What the script writes where a Docker socket is."""
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|KEY$")
SIGNALS = {"collector", "jaeger", "loki"}
"""What the profile of that name adds."""
everywhere = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def test_containers_have_the_names_that_operators_know() -> None:
    named = {name: service["container_name"] for name, service in SERVICES.items()}
    assert named == {name: f"vibebox-{name}" for name in SERVICES}
    assert {*PORTS, "agent", "migrate", "postgres"} <= set(SERVICES)


def test_each_port_of_the_seed_is_published_on_loopback_only() -> None:
    for name, service in SERVICES.items():
        for published in service.get("ports", []):
            match = re.fullmatch(r"127\.0\.0\.1:\$\{(\w*PORT):-(\d+)\}:(\d+)", published)
            assert match is not None, published
            assert int(match[2]) == PORTS[name.removesuffix("-demo")]
    assert {name for name in PORTS if SERVICES[name].get("ports")} == set(PORTS)


@everywhere
def test_image_is_pinned_or_built_here(service: dict[str, Any]) -> None:
    if "build" not in service:
        assert re.fullmatch(r"([\w-]+/)?[\w-]+:v?\d+\.\d+[\w.-]*", service["image"])


@everywhere
def test_service_is_limited_and_confined(service: dict[str, Any]) -> None:
    assert {"mem_limit", "cpus", "pids_limit", "restart", "logging"} <= set(service)
    assert "no-new-privileges:true" in service["security_opt"]


def test_each_service_that_goes_on_has_a_health_check() -> None:
    checks = {name: one["healthcheck"] for name, one in SERVICES.items() if "healthcheck" in one}
    assert set(SERVICES) - set(checks) == {"backend"}, "the image has its own, for the web server"
    ends = {name for name, one in SERVICES.items() if one["restart"] == "no"}
    assert ends == {"migrate", "preflight"}
    # Nothing in the collector's image could ask it.
    unasked = {name for name, check in checks.items() if "disable" in check}
    assert unasked == {*ends, "collector"}
    for check in (check for check in checks.values() if "disable" not in check):
        assert {"test", "interval", "timeout", "start_period", "retries"} <= set(check)


def test_secrets_have_no_default_outside_the_demo() -> None:
    given: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for key, value in (service.get("environment") or {}).items():
            if SECRET.search(key):
                given.setdefault(name, set()).add(str(value))
    demo = given.pop("grafana-demo")
    assert demo == {"admin"}
    assert SERVICES["grafana-demo"]["profiles"] == ["demo"]
    assert {"backend", "grafana", "postgres"} <= set(given)
    values = set.union(*given.values())
    # None: passed through where it is set.
    assert all(re.fullmatch(r"\$\{\w+:-\}", value) for value in values - {"None"}), values


def test_monitoring_is_apart_from_the_public_and_the_database_from_both() -> None:
    networks = {name: set(service.get("networks", [])) for name, service in SERVICES.items()}
    assert SERVICES["preflight"]["network_mode"] == "none"
    members = {
        network: {name for name, has in networks.items() if network in has}
        for network in COMPOSE["networks"]
    }
    assert members["public"] == {"backend"}
    assert members["data"] == {"backend", "agent", "migrate", "postgres"}
    assert members["monitoring"] == {"backend", "agent", *PORTS, "grafana-demo", *SIGNALS}
    assert members["otlp"] == {"backend", "agent", "collector"}
    assert COMPOSE["networks"]["data"] == COMPOSE["networks"]["otlp"] == {"internal": True}


@everywhere
def test_no_path_is_mounted_on_twice(service: dict[str, Any]) -> None:
    paths = [target for _, target in mounts(service)]
    assert len(paths) == len(set(paths))


def test_mounts_that_lie_in_a_read_only_one_have_a_directory_there() -> None:
    for name in ("prometheus", "alertmanager"):
        assert (ROOT / "monitoring" / name / "secrets").is_dir()


@everywhere
def test_mounted_directories_of_the_repository_are_there(service: dict[str, Any]) -> None:
    for made in ({}, {"GRAFANA_SET": "signals"}):
        sources = [source for source, _ in mounts(service, **made)]
        missing = [one for one in sources if one.startswith("./") and not (ROOT / one).exists()]
        assert missing == []


def mounts(service: dict[str, Any], **environment: str) -> list[tuple[str, str]]:
    """Return what a service mounts, and where, as Compose fills in its variables."""

    def value(found: re.Match[str]) -> str:
        return environment.get(found[1]) or found[2]

    filled = [re.sub(r"\$\{(\w+):-([^}]*)\}", value, one) for one in service.get("volumes", [])]
    parts = [one.removesuffix(":ro").rsplit(":", 1) for one in filled]
    return [(source, target) for source, target in parts]


def provisioned(*files: Path) -> dict[str, str]:
    """Return the addresses of the data sources of these files, by their uid."""
    found = [one for file in files for one in yaml.safe_load(file.read_text())["datasources"]]
    return {one["uid"]: one["url"] for one in found}


@pytest.mark.parametrize("service", ["grafana", "grafana-demo"])
def test_grafana_finds_dashboards_and_sources_where_the_file_puts_them(service: str) -> None:
    provisioning = ROOT / "monitoring" / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards/default.yml").read_text())["providers"]
    prometheus = {"vibebox-prometheus": "http://prometheus:9090"}
    more = {"vibebox-jaeger": "http://jaeger:16686", "vibebox-loki": "http://loki:3100"}
    for made, sources in (({}, prometheus), ({"GRAFANA_SET": "signals"}, {**prometheus, **more})):
        found = {target: ROOT / source for source, target in mounts(SERVICES[service], **made)}
        assert (found["/etc/grafana/provisioning/dashboards"] / "default.yml").is_file()
        # Folders are called as directories are: the service's own, and one for each team.
        assert provider["options"]["foldersFromFilesStructure"] and "folder" not in provider
        place = f"{provider['options']['path']}/VibeBox"
        boards, teams = found[place], found[f"{place}/teams"]
        assert len(list(boards.glob("*.json"))) == 7
        # Docker makes no directory in what is mounted read-only.
        assert (boards / "teams").is_dir() and teams == ROOT / "monitoring/grafana/dashboards/teams"
        assert ("vibebox-jaeger" in (boards / "slo.json").read_text()) == (sources != prometheus)
        files = sorted(found["/etc/grafana/provisioning/datasources"].glob("*.yml"))
        assert provisioned(*files) == sources


def test_sources_that_are_there_in_any_case_differ_by_the_way_to_traces_alone() -> None:
    plain, more = (
        yaml.safe_load((ROOT / "monitoring/grafana" / place / "prometheus.yml").read_text())
        for place in ("provisioning/datasources", "signals/datasources")
    )
    # With `prune`, Grafana forgets Jaeger and Loki when the profile is off again.
    assert more.pop("prune") is True
    (way,) = more["datasources"][0]["jsonData"].pop("exemplarTraceIdDestinations")
    assert way["name"] == "trace_id"
    assert more == plain


def signals(name: str) -> Any:
    """Return a configuration of the profile."""
    return yaml.safe_load((ROOT / "monitoring" / "signals" / f"{name}.yaml").read_text())


def test_profile_of_signals_is_what_its_configurations_say() -> None:
    assert {name for name, one in SERVICES.items() if one.get("profiles") == ["signals"]} == SIGNALS
    for name in SIGNALS:
        (flag,) = SERVICES[name]["command"]
        found = {target: source for source, target in mounts(SERVICES[name])}
        assert found[str(Path(flag.partition("=")[2]).parent)] == "./monitoring/signals"
        assert Path(flag).name == f"{name}.yaml"
    to = {name: one["endpoint"] for name, one in signals("collector")["exporters"].items()}
    assert to == {
        "otlp_http/jaeger": "http://jaeger:4318",
        "otlp_http/loki": "http://loki:3100/otlp",
    }
    takes = signals("jaeger")["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    asked = signals("jaeger")["extensions"]["jaeger_query"]["http"]["endpoint"]
    assert (takes, asked) == ("0.0.0.0:4318", "0.0.0.0:16686")
    assert signals("loki")["server"]["http_listen_port"] == 3100
    assert "0.0.0.0:4318" in str(signals("collector")["receivers"])


def test_what_the_collector_has_taken_its_ends_have_too() -> None:
    """A queue, or a batch, would say "taken" of what is lost with the collector."""
    config = signals("collector")
    for exporter in config["exporters"].values():
        assert exporter["sending_queue"] == exporter["retry_on_failure"] == {"enabled": False}
    for pipeline in config["service"]["pipelines"].values():
        assert pipeline["processors"] == ["memory_limiter"]


def test_data_of_signals_outlives_a_container() -> None:
    volumes = {
        name: {target: source for source, target in mounts(SERVICES[name])}
        for name in ("jaeger", "loki")
    }
    backends = signals("jaeger")["extensions"]["jaeger_storage"]["backends"]
    kept = backends["files"]["badger"]["directories"].values()
    assert volumes["jaeger"]["/tmp"] == "jaeger-data"
    assert all(one.startswith("/tmp/") for one in kept)
    assert volumes["loki"][signals("loki")["common"]["path_prefix"]] == "loki-data"


def test_labels_of_loki_are_few_and_ids_are_none() -> None:
    limits = signals("loki")["limits_config"]
    attributes = limits["otlp_config"]["resource_attributes"]
    assert attributes["ignore_defaults"] is True
    (rule,) = attributes["attributes_config"]
    assert rule["action"] == "index_label"
    assert rule["attributes"] == ["service.name", "log.iostream", "vibebox.team"]
    assert limits["allow_structured_metadata"] is True


def test_named_volumes_are_declared_and_used() -> None:
    mounted = [volume for one in SERVICES.values() for volume in one.get("volumes", [])]
    used = {volume.split(":")[0] for volume in mounted if volume[0] not in "./$"}
    assert used == set(COMPOSE["volumes"])


def test_prometheus_keeps_what_the_objectives_look_back_over() -> None:
    flags = dict(flag.partition("=")[::2] for flag in SERVICES["prometheus"]["command"])
    assert int(flags["--storage.tsdb.retention.time"].removesuffix("d")) >= 35


def test_every_setting_of_env_reaches_the_service_unless_the_file_decides_it() -> None:
    known = {environment_name(key, field) for key, field in Settings.model_fields.items()}
    passed = set(SERVICES["backend"]["environment"]) - {"PGPASSWORD"}
    # The image has the first four; a welcome is for a terminal.
    decided = {"HOST", "PORT", "DOCKER_HOST", "PROMETHEUS_MULTIPROC_DIR", "VIBEBOX_WELCOME"}
    # Beside the metrics, in the same volume.
    decided.add("VIBEBOX_TRACES_DIR")
    assert passed == known - decided
    assert SERVICES["agent"]["environment"] == SERVICES["backend"]["environment"]


def test_no_environment_gets_a_port_that_the_file_publishes() -> None:
    """While a service restarts its port is free for a moment."""
    reserved = SERVICES["backend"]["environment"]["VIBEBOX_RESERVED_PORTS"]
    for service in SERVICES.values():
        for published in service.get("ports", ()):
            assert published.removeprefix("127.0.0.1:").rpartition(":")[0] in reserved


def test_names_of_the_service_are_listed() -> None:
    assert SERVICES["backend"]["environment"]["VIBEBOX_ALLOWED_HOSTS"]


def test_templates_of_the_host_are_where_the_service_looks_for_them() -> None:
    inside = SERVICES["backend"]["environment"]["VIBEBOX_TEMPLATES_FILE"]
    default = "./deploy/templates.json"
    mount = f"${{VIBEBOX_TEMPLATES_FILE:-{default}}}:{inside}:ro"
    assert mount in SERVICES["backend"]["volumes"]
    # The agent reads what environments use, too.
    groups = "/sys/fs/cgroup:/sys/fs/cgroup:ro"
    assert SERVICES["agent"]["volumes"] == [*SERVICES["backend"]["volumes"], groups]
    assert json.loads((ROOT / default).read_text()) == []


def test_docker_waits_longer_than_the_server_drains() -> None:
    grace = int(SERVICES["backend"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings.model_fields["graceful_timeout"].default


def test_open_files_are_enough_for_what_each_process_holds() -> None:
    nofile = {
        name: int(SERVICES[name]["ulimits"]["nofile"].removeprefix("${NOFILE:-").removesuffix("}"))
        for name in ("backend", "agent")
    }
    assert nofile["agent"] * ends._SHARE >= ends._MOST_KEPT * run_end.DESCRIPTORS
    threads, websockets = (
        Settings.model_fields[name].default for name in ("threads", "websockets")
    )
    assert nofile["backend"] >= 4096 + descriptors.reserve(threads, websockets)


def config(environment: dict[str, str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Have Compose judge the file; leave the test out where Compose is not installed."""
    found = shutil.which("docker-compose")
    require("Docker Compose", None if found else "docker-compose is not installed")
    nothing = directory / "env"  # not the .env of whoever runs the tests
    nothing.touch()
    given = ["--file", str(FILE), "--env-file", str(nothing)]
    command = ["docker-compose", *given, "config", "--quiet"]
    env = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.integration
def test_compose_accepts_the_file_of_a_fresh_clone(tmp_path: Path) -> None:
    result = config({}, tmp_path)
    assert result.returncode == 0, result.stderr


def shell(service: str, key: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the commands of a service in a shell of this host."""
    words = [str(word).replace("$$", "$") for word in SERVICES[service][key]]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30)


def test_start_of_vibebox_waits_for_the_values_without_a_default() -> None:
    first = SERVICES["postgres"]["depends_on"]
    assert first == {"preflight": {"condition": "service_completed_successfully"}}
    for name in ("migrate", "backend", "agent"):
        assert "postgres" in SERVICES[name]["depends_on"]
    # These start alone.
    assert not SERVICES["prometheus"].get("depends_on")
    assert not SERVICES["grafana"].get("depends_on")


def test_values_that_are_missing_are_named_with_what_makes_them() -> None:
    path = {"PATH": os.environ["PATH"]}
    required = {name: "made-up" for name in SERVICES["preflight"]["environment"]}
    assert {*required, "GRAFANA_ADMIN_PASSWORD"} == set(REQUIRED)
    assert shell("preflight", "command", {**path, **required}).returncode == 0
    for missing in required:
        ran = shell("preflight", "command", {**path, **required, missing: ""})
        assert ran.returncode == 1
        assert ran.stderr.startswith(f"Not set: {missing} - run make up")
    assert all(name in shell("preflight", "command", path).stderr for name in required)


def test_new_grafana_without_a_password_gets_one_of_its_own(tmp_path: Path) -> None:
    script = SERVICES["grafana"]["entrypoint"][-1]
    database = tmp_path / "grafana.db"
    # What the image runs then, and where it keeps its data.
    script = script.replace("/run.sh", "printenv GF_SECURITY_ADMIN_PASSWORD")
    script = script.replace("/var/lib/grafana/grafana.db", str(database)).replace("$$", "$")

    def started(**environment: str) -> list[str]:
        env = {"PATH": os.environ["PATH"], **environment}
        ran = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True)
        return ran.stdout.split()

    made = {tuple(started(GF_SECURITY_ADMIN_PASSWORD="")[-2:]) for _ in range(2)}
    assert len(made) == 2, "each has another one"
    assert all(told == used and len(used) == 36 for told, used in made)
    assert started(GF_SECURITY_ADMIN_PASSWORD="given") == ["given"]
    database.touch()
    assert started(GF_SECURITY_ADMIN_PASSWORD="") == [], "an old one has its own"


def write_secrets(directory: Path, **environment: str) -> str:
    """Run the script on a directory of its own; return what it says."""
    script = ROOT / "scripts" / "compose-secrets"
    env = {"PATH": os.environ["PATH"], "DOCKER_GID": "998", **environment}
    ran = subprocess.run(
        [script, directory], env=env, capture_output=True, text=True, check=True, timeout=30
    )
    return ran.stdout


def read_env(directory: Path) -> dict[str, str]:
    """Return what stands in .env."""
    lines = (directory / ".env").read_text().splitlines()
    return dict(line.partition("=")[::2] for line in lines if line and line[0] != "#")


def mode(path: Path) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_first_start_makes_secrets_that_only_the_owner_and_containers_can_read(
    tmp_path: Path,
) -> None:
    said = write_secrets(tmp_path)
    assert "only the console shows alerts so far" in said
    made = read_env(tmp_path)
    assert set(made) == MADE - {"DOCKER_GID"}
    assert all(len(value) == 48 for value in made.values())
    assert len(set(made.values())) == len(made)
    assert all(name in said for name in made)
    assert not any(value in said for value in made.values())
    assert mode(tmp_path / ".env") == 0o600
    assert mode(tmp_path / "secrets") == 0o700
    for name, path in (
        ("VIBEBOX_METRICS_TOKEN", "prometheus/metrics_token"),
        ("VIBEBOX_ALERTS_TOKEN", "alertmanager/vibebox_token"),
    ):
        file = tmp_path / "secrets" / path
        assert file.read_text() == made[name]
        assert mode(file) == 0o644


def test_second_start_changes_nothing(tmp_path: Path) -> None:
    write_secrets(tmp_path)
    (tmp_path / "secrets" / "alertmanager" / "slack_url").write_text(
        "https://chat.example.org/hook"
    )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert write_secrets(tmp_path) == "", "somebody is told of alerts"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_stands_in_env_stays_and_reaches_the_files(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        'PORT=8000\nVIBEBOX_METRICS_TOKEN=old\nVIBEBOX_METRICS_TOKEN="t"'
    )
    write_secrets(tmp_path)
    assert (tmp_path / ".env").read_text().startswith("PORT=8000\nVIBEBOX_METRICS_TOKEN=old\n")
    assert read_env(tmp_path)["VIBEBOX_METRICS_TOKEN"] == '"t"'
    assert (tmp_path / "secrets/prometheus/metrics_token").read_text() == "t"


def test_environment_wins_over_env_file(tmp_path: Path) -> None:
    write_secrets(tmp_path, VIBEBOX_METRICS_TOKEN="given")
    assert "VIBEBOX_METRICS_TOKEN" not in read_env(tmp_path)
    assert (tmp_path / "secrets/prometheus/metrics_token").read_text() == "given"
