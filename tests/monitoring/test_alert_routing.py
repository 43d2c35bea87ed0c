"""Who hears of which alert, judged by Alertmanager itself."""

import re
from collections.abc import Callable

import pytest
import yaml

from tests.backends.alertmanager import Alertmanager, amtool
from tests.backends.programs import wait_until
from tests.conftest import require
from tests.monitoring.routing import CONFIG, FILE, silent
from tests.monitoring.rules import ALERTS

pytestmark = pytest.mark.integration

PAGE = ["vibebox", "page"]
TEAM = ["vibebox", "team"]
TICKETS = ["vibebox", "tickets"]
RECEIVERS = {
    "Watchdog": ["heartbeat"],
    "ServiceDown": PAGE,
    "NotReady": PAGE,
    "VeryHighAPILatency": PAGE,
    "VeryHighAPIErrorRate": PAGE,
    "VerySlowDatabaseQueries": PAGE,
    "AvailabilityBudgetBurnFast": PAGE,
    "LatencyBudgetBurnFast": PAGE,
    "PossibleBruteForceAttack": ["vibebox", "security", "page"],
    "HighAuthFailureRate": ["vibebox", "security", "team"],
    "HighAPILatency": TEAM,
    "HighAPIErrorRate": TEAM,
    "HighCPUUsage": TEAM,
    "HighMemoryUsage": TEAM,
    "HighEventLoopLag": TEAM,
    "RequestThreadsSaturated": TEAM,
    "WorkersDying": TEAM,
    "SlowDatabaseQueries": TEAM,
    "DatabasePoolExhausted": TEAM,
    "HighWebSocketConnections": TEAM,
    "HighDockerFailureRate": TEAM,
    "SlowDockerOperations": TEAM,
    "HighEnvironmentErrorRate": TEAM,
    "NoRunningEnvironments": TEAM,
    "EnvironmentStatusDrift": TEAM,
    "EnvironmentsKilledByMemory": TEAM,
    "SlowEnvironmentStarts": TEAM,
    "ServiceRestarting": PAGE,
    "ServiceFlapping": PAGE,
    "AgentNotLeading": PAGE,
    "SyntheticUserFailing": PAGE,
    "MetricsMissing": PAGE,
    "AgentRestarting": TEAM,
    "EnvironmentsNotCompared": TEAM,
    "AgentTaskFailing": TEAM,
    "AgentTaskStuck": TEAM,
    "DependencyUnavailable": TEAM,
    "ProcessCPUSaturated": TEAM,
    "SharedLimitReached": TEAM,
    "RequestsWaitForThreads": TEAM,
    "RequestStuck": TEAM,
    "HighClientConnections": TEAM,
    "MetricsHidden": PAGE,
    "ProcessSilent": TEAM,
    "UnusualSignUps": ["vibebox", "security", "team"],
    "HighFileDescriptorUsage": TEAM,
    "SlowBruteForceAttack": ["vibebox", "security", "team"],
    "MetricsDirectoryFailing": TICKETS,
    "MetricsCollectErrors": TICKETS,
    "ScrapeNearTimeout": TICKETS,
    "AvailabilityBudgetBurnSlow": TICKETS,
    "LatencyBudgetBurnSlow": TICKETS,
}


@pytest.fixture(autouse=True)
def installed() -> None:
    require("Alertmanager", Alertmanager.installed())


def test_amtool_accepts_the_configuration() -> None:
    result = amtool("check-config", str(FILE))
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_alert_goes_where_it_should() -> None:
    assert set(RECEIVERS) == set(ALERTS)
    found = {}
    for name, rule in ALERTS.items():
        labels = [f"{key}={value}" for key, value in {"alertname": name, **rule["labels"]}.items()]
        result = amtool("config", "routes", "test", f"--config.file={FILE}", *labels)
        assert result.returncode == 0, result.stderr
        found[name] = result.stdout.strip().split(",")
    assert found == RECEIVERS


def test_only_information_waits_for_office_hours() -> None:
    waiting = [route for route in CONFIG["route"]["routes"] if "active_time_intervals" in route]
    assert [route["matchers"] for route in waiting] == [['severity="info"']]
    assert {name for route in waiting for name in route["active_time_intervals"]} == {
        interval["name"] for interval in CONFIG["time_intervals"]
    }


def test_secrets_are_files() -> None:
    text = FILE.read_text()
    secrets = re.findall(
        r"^\s*-?\s*(\w*(?:api_url|key|password|credentials)\w*): (.*)$", text, re.M
    )
    assert len(secrets) == 4
    for name, value in secrets:
        assert name.endswith("_file"), name
        assert value.startswith("/etc/alertmanager/secrets/"), value


def labels_of(name: str, **more: str) -> dict[str, str]:
    """Return the labels that Prometheus would send."""
    installation = {"cluster": "vibebox", "environment": "production", "job": "vibebox-backend"}
    return {"alertname": name, **installation, **ALERTS[name]["labels"], **more}


A, B = {"instance": "a:3000"}, {"instance": "b:3000"}
SIBLINGS = [labels_of("PossibleBruteForceAttack"), labels_of("HighAuthFailureRate")]
CASES = {
    "a warning under its critical sibling": (SIBLINGS, {"HighAuthFailureRate"}),
    "no warning without a signal under a critical one without": (
        [labels_of("NotReady", check="database"), labels_of("HighCPUUsage", **A)],
        set(),
    ),
    "no sibling of another environment": (
        [SIBLINGS[0], {**SIBLINGS[1], "environment": "staging"}],
        set(),
    ),
    "everything of the instance that is down, and of the service": (
        [
            labels_of("ServiceDown", **A),
            labels_of("ScrapeNearTimeout", **A),
            labels_of("AvailabilityBudgetBurnFast", slo="availability"),
        ],
        {"ScrapeNearTimeout", "AvailabilityBudgetBurnFast"},
    ),
    "what the agent cannot do without its dependencies": (
        [
            labels_of("NotReady", check="docker"),
            labels_of("EnvironmentsNotCompared"),
            labels_of("AgentTaskStuck", task="sweep"),
            labels_of("AgentNotLeading"),
            labels_of("DependencyUnavailable", check="docker", **A),
        ],
        # Nobody leads: AgentNotLeading says more than both, and is said.
        {"EnvironmentsNotCompared", "AgentTaskStuck"},
    ),
    "nothing of the agent of another job": (
        [
            labels_of("NotReady", check="docker"),
            {**labels_of("EnvironmentsNotCompared"), "job": "vibebox-other"},
        ],
        set(),
    ),
    "nothing of an instance that runs": (
        [labels_of("ServiceDown", **A), labels_of("WorkersDying", **B)],
        set(),
    ),
    "what is left when no instance is known": (
        [labels_of("ServiceDown"), labels_of("NotReady", check="database")],
        {"NotReady"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_inhibition(case: str, alertmanager: Callable[..., Alertmanager]) -> None:
    sent, expected = CASES[case]
    service = alertmanager(yaml.safe_dump(silent()))
    for labels in sent:
        service.post(labels)

    def decided() -> bool:
        states = [found["status"]["state"] for found in service.alerts()]
        return len(states) == len(sent) and "unprocessed" not in states

    wait_until(decided, 30, interval=0.1)
    suppressed = {
        found["labels"]["alertname"]
        for found in service.alerts()
        if found["status"]["state"] == "suppressed"
    }
    assert suppressed == expected
