"""Half an hour of each kind of ordinary use, in which no alert may fire.

Apart from the faults of `test_alerts`: both take a quarter of an hour, in which they mostly wait.
"""

from pathlib import Path

import pytest

from tests.backends.alertmanager import Alertmanager
from tests.backends.docker_engine import DockerEngine
from tests.backends.jaeger import Jaeger
from tests.backends.postgresql import PostgreSQL
from tests.backends.prometheus import Prometheus
from tests.conftest import require
from tests.end_to_end.alerts.quiet import CASES, MINUTES
from tests.end_to_end.alerts.stack import Stack
from tests.end_to_end.alerts.watching import stays_silent

pytestmark = [pytest.mark.end_to_end, pytest.mark.full, pytest.mark.timeout(1500)]


@pytest.fixture(autouse=True)
def installed() -> None:
    require("Prometheus", Prometheus.installed())
    require("Alertmanager", Alertmanager.installed())
    require("Jaeger", Jaeger.installed())


@pytest.mark.parametrize("factor", sorted({case.factor for case in CASES.values()}))
def test_nothing_fires_while_all_is_well(
    factor: float,
    tmp_path: Path,
    postgresql: PostgreSQL,
    docker_engine: DockerEngine,
    subtests: pytest.Subtests,
) -> None:
    cases = {name: case for name, case in CASES.items() if case.factor == factor}
    with Stack(tmp_path, engine=docker_engine, postgresql=postgresql, factor=factor) as stack:
        for name, case in cases.items():
            with subtests.test(name), case.make(stack):
                stays_silent(stack, MINUTES * 60 / factor)
    docker_engine.clear()
