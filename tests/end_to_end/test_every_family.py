"""Every series of an event moves by the exact amount, and nothing moves beside it.

One stack is taken through many steps. Each says what it moves (see `families`), its requests count
as the client saw them, and its statements as PostgreSQL logged them; all else must stand still.
"""

from collections.abc import Iterator

import psutil
import pytest

from app._version import __version__
from tests.backends.docker_engine import DockerEngine
from tests.backends.postgresql import PostgreSQL
from tests.backends.programs import wait_until
from tests.backends.registry import Registry
from tests.end_to_end.families import accounts, agents, coverage, environments, failures
from tests.end_to_end.families.moves import STATEMENTS, series
from tests.end_to_end.families.stack import WORKERS, Stack

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

STEPS = (*accounts.STEPS, *environments.STEPS, *agents.STEPS, *failures.STEPS)


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
    postgresql: PostgreSQL,
    docker_engine: DockerEngine,
    registry: Registry,
) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("families"), postgresql, docker_engine, registry)
    try:
        stack.start()
        yield stack
    finally:
        stack.close()


def test_each_step_moves_what_it_says_and_nothing_else(
    stack: Stack, subtests: pytest.Subtests
) -> None:
    before = stack.shown()
    for step in STEPS:
        with subtests.test(step.name), stack.accounted(step, before):
            step.act(stack)
        # What moves late is found beside the next step.
        before = stack.shown()
    stack.hang_up()

    assert stack.server.metric("vibebox_process_cpu_seconds_total", role="agent") > 0
    assert stack.statuses == coverage.STATUSES
    assert set(stack.statements.counted()) == {
        series(STATEMENTS, model=model, operation=operation)
        for model, operations in coverage.STATEMENTS.items()
        for operation in operations
    }


def test_gauges_of_the_processes(stack: Stack) -> None:
    """What each process tells of itself is what the kernel says, and adds up over all of them."""
    wait_until(lambda: "vibebox_workers 4" in stack.scrape(), 20)
    processes = [psutil.Process(pid) for pid in (stack.server.pid, *stack.server.worker_pids())]
    slots = {"master", *(f"web-{number}" for number in range(WORKERS))}

    def by_worker(name: str) -> dict[str, float]:
        found = stack.server.metrics().items()
        return {
            dict(labels)["worker"]: value
            for (sample, labels), value in found
            if sample == name and dict(labels)["worker"] in slots
        }

    soft, _ = processes[0].rlimit(psutil.RLIMIT_NOFILE)
    assert by_worker("vibebox_process_max_fds") == dict.fromkeys(slots, soft)
    starts = sorted(process.create_time() for process in processes)
    shown = sorted(by_worker("vibebox_process_start_time_seconds").values())
    assert shown == pytest.approx(starts, abs=1)
    # Published each second; threads and connections come and go meanwhile.
    wait_until(
        lambda: (
            sorted(by_worker("vibebox_process_threads").values())
            == sorted(process.num_threads() for process in processes)
        ),
        20,
    )
    wait_until(
        lambda: (
            sorted(by_worker("vibebox_process_open_fds").values())
            == sorted(process.num_fds() for process in processes)
        ),
        20,
    )
    metric = stack.server.metric
    # Of each worker as many as its threads, and three; no agent runs before or after the steps.
    assert metric("vibebox_db_connection_pool_size", state="max") == WORKERS * 11
    assert 0 <= metric("vibebox_db_connection_pool_utilization") <= 0.5
    assert metric("vibebox_build_info", version=__version__) == 1
    assert metric("vibebox_metrics_files", state="live") >= len(slots)
    for collector in ("inventory", "files"):
        assert metric("vibebox_metrics_collect_duration_seconds", collector=collector) > 0
