"""Real faults fire exactly their alerts, which arrive, inhibit their siblings, and resolve."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.backends import http
from tests.backends.alertmanager import Alertmanager
from tests.backends.docker_engine import DockerEngine
from tests.backends.jaeger import Jaeger
from tests.backends.postgresql import PostgreSQL
from tests.backends.prometheus import Prometheus
from tests.conftest import require
from tests.end_to_end.alerts import faults
from tests.end_to_end.alerts.faults import FAULTS, Fault
from tests.end_to_end.alerts.stack import Stack
from tests.end_to_end.alerts.verdicts import Verdicts
from tests.end_to_end.alerts.watching import ordinary, run
from tests.monitoring.alert_lint import ALWAYS
from tests.sizes import size

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(1200)]


@pytest.fixture(autouse=True)
def installed() -> None:
    require("Prometheus", Prometheus.installed())
    require("Alertmanager", Alertmanager.installed())
    require("Jaeger", Jaeger.installed())


def follow(stack: Stack, *rounds: Sequence[Fault]) -> None:
    """Make the faults of each round at once, one round after the other, under ordinary load."""
    with ordinary(stack):
        assert stack.firing() <= faults.MACHINE | faults.LATE
        nothing_is_named(stack)
        for together in rounds:
            verdicts = Verdicts(stack, together)
            print(run(stack, together, verdicts))
            culprits_are_named(verdicts)
    links_lead_somewhere(stack)


def nothing_is_named(stack: Stack) -> None:
    """The control: without a fault there is no culprit of any alert, and a reason for it."""
    for alert in stack.prometheus.alert_names():
        if alert not in stack.firing() | set(ALWAYS):
            answer = stack.explained(alert)
            assert answer.culprit is None and answer.culprit_missing, answer


def culprits_are_named(verdicts: Verdicts) -> None:
    """Each alert of the faults is explained by what the fault was done to."""
    print(verdicts)
    assert not verdicts.unseen
    assert not verdicts.wrong, "\n".join(map(str, verdicts.wrong))


def links_lead_somewhere(stack: Stack) -> None:
    """Links follow the settings, of which a message has no other trace."""
    for name, alert in stack.receiver.alerts.items():
        links = alert["annotations"]
        assert links["dashboard_url"].startswith("https://grafana.test/d/")
        assert links["explanation_url"] == f"https://vibebox.test/service?explain={name}"
        assert not {"grafana_url", "runbooks_url", "console_url"} & set(alert["labels"])
        runbook = http.get(links["runbook_url"])
        assert runbook.headers["Content-Type"].startswith("text/")
        assert runbook.text.startswith(f"# {name}\n")


INSIDE = [faults.SOCKETS, faults.HELD, faults.DESCRIPTORS]
PROCESSES = [INSIDE, [faults.GUESSED], [faults.GUESSED_SLOWLY], [faults.KILLED]]
DATABASE = [[faults.AGENT, faults.DESCRIPTORS], [faults.TABLE], [faults.DATABASE], [faults.STOPPED]]
CONTAINERS = [[faults.CONTAINERS]]
TOGETHER = [
    fault for rounds in (PROCESSES, DATABASE, CONTAINERS) for one in rounds for fault in one
]
ALONE = {name: fault for name, fault in FAULTS.items() if fault not in TOGETHER}
"""Those that need a stack of their own: other settings, or programs that are started anew."""


@pytest.mark.full
def test_harm_to_processes(tmp_path: Path, docker_engine: DockerEngine) -> None:
    with Stack(tmp_path, engine=docker_engine, workers=5, threads=2) as stack:
        # Guessing needs a service that answers often.
        follow(stack, *PROCESSES)


def test_harm_to_the_database(
    tmp_path: Path, postgresql: PostgreSQL, docker_engine: DockerEngine
) -> None:
    with Stack(tmp_path, engine=docker_engine, postgresql=postgresql, threads=4) as stack:
        follow(stack, *size([one for one in DATABASE if faults.TABLE not in one], DATABASE))


@pytest.mark.full
@pytest.mark.parametrize("name", ALONE)
def test_harm_alone(
    name: str, tmp_path: Path, postgresql: PostgreSQL, docker_engine: DockerEngine
) -> None:
    fault = ALONE[name]
    factor = fault.factor
    with (
        Stack(
            tmp_path, fault.env, engine=docker_engine, postgresql=postgresql, factor=factor
        ) as stack,
        ordinary(stack),
    ):
        verdicts = Verdicts(stack, [fault])
        # The long windows of budgets end in their time, which nobody waits for here.
        print(run(stack, [fault], verdicts, timeout=100 * 60 / factor))
        if fault.culprit is not None:
            culprits_are_named(verdicts)
    docker_engine.clear()


@pytest.mark.full
def test_harm_to_containers(
    tmp_path: Path, postgresql: PostgreSQL, docker_engine: DockerEngine
) -> None:
    with Stack(tmp_path, postgresql=postgresql, engine=docker_engine) as stack:
        follow(stack, *CONTAINERS)
    docker_engine.clear()
