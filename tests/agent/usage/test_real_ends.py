"""Containers that end by themselves are booked to the last moment, beside what the kernel has.

Their control groups are below others of the test's own, which keep the sum when they are gone. This
is the truth. In the gate the engine's runtime is frozen while they end, as if it took its time to
clean up, so that a busy machine decides nothing; with FULL they race with it, as in earnest.
"""

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.agent.usage.meter import Meter
from app.domain.usage.ledger import Ledger
from app.storage import UsageRow
from app.storage.fence import unfenced
from tests.agent.usage.bench import SOON, Bench, cpu_of, group_of
from tests.agent.usage.support import NS, sums
from tests.backends.programs import wait_until
from tests.sizes import FULL, size

pytestmark = [pytest.mark.integration, pytest.mark.timeout(size(120, 600))]

RUNS = size(3, 40)
LOOPS = size((50_000, 50_000), (100_000, 3_000_000))
"""Fewest and most turns of what burns CPU: 0.1 to 3 s of it."""
AT_ONCE = 4
MOST_MISSED = size(0.0, 0.5)
"""Of the ends. Where nothing else runs it is none, but nobody says that of a machine of tests."""
SCRIPT = """
trap 'go=1' USR1
until [ "$go" ]; do sleep 1 & wait $!; done
i=0; while [ $i -lt {loops} ]; do i=$((i+1)); done
ping -q -c 3 -i 0.01 -s 1000 {address} > /dev/null
"""
ALIKE = NS // 200
"""What the kernel's own end of a process takes, and a busy machine's interrupts meanwhile."""


class Parents:
    """Control groups that the engine makes, and that stay until the test removes them."""

    def __init__(self) -> None:
        self._prefix = f"/vibebox-test-{uuid.uuid4().hex[:8]}"
        self.places: dict[str, Path] = {}

    def name(self, number: int) -> str:
        return f"{self._prefix}-{number}"

    def note(self, container: str, pid: int) -> None:
        """Remember which one a container is in."""
        self.places[container] = group_of(pid, "cpuacct").parent

    def used(self, container: str) -> int:
        return cpu_of(self.places[container])

    def close(self) -> None:
        root = Path("/sys/fs/cgroup")
        for group in (*root.glob(f"*{self._prefix}-*"), *root.glob(f"{self._prefix[1:]}-*")):
            group.rmdir()


@pytest.fixture
def parents() -> Iterator[Parents]:
    with closing(Parents()) as made:
        yield made


class Reader:
    """A meter that books whenever it is woken, as the agent's task does."""

    def __init__(self, bench: Bench) -> None:
        self._over = threading.Event()
        self.meter = Meter(bench.database, bench.gateway, Ledger(bench.database, unfenced), 0)
        self.meter.run()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            self.meter.wanted.clear()
            self.meter.run()
            self.meter.wanted.wait(SOON)

    def close(self) -> None:
        self._over.set()
        self.meter.wanted.set()
        self._thread.join()
        self.meter.close(SOON)


def test_run_that_ends_by_itself_is_booked_to_its_end(parents: Parents, bench: Bench) -> None:
    fewest, most = LOOPS
    containers = []
    for number in range(RUNS):
        loops = fewest + (most - fewest) * number // RUNS
        script = SCRIPT.format(loops=loops, address=bench.real.bridge_address)
        parent = parents.name(number)
        containers.append(bench.launch(script, f"ends-{number}", number % 2, 1.0, parent))
        parents.note(containers[-1], bench.pid(containers[-1]))
    with closing(Reader(bench)):
        for start in range(0, RUNS, AT_ONCE):
            let_end(bench, containers[start : start + AT_ONCE])
    Meter(bench.database, bench.gateway, Ledger(bench.database, unfenced), 0).run()

    apart = [parents.used(it) - bench.booked_cpu(it) for it in containers]
    booked = sums(bench.database, UsageRow.environment)
    missed = sum(use["unread_ns"] > 0 for use in booked.values())
    mean, worst = sum(apart) / RUNS / 1e6, max(apart) / 1e6
    print(f"{RUNS} runs: {missed} ends missed; {mean:.3f} ms apart, {worst:.3f} at the most")
    assert missed <= RUNS * MOST_MISSED
    assert sorted(apart)[RUNS - missed - 1] < ALIKE
    for use in booked.values():
        assert (use["runs"], use["unread_runs"]) == (1, 0)
        assert use["unread_ns"] or use["network_tx_bytes"] > 3000


def let_end(bench: Bench, containers: list[str]) -> None:
    """Have containers do what they are to do, and end."""
    if not FULL:
        bench.real.suspend_runtime()
    try:
        for container in containers:
            pid = bench.pid(container)
            wait_until(lambda it=pid: catches(it, signal.SIGUSR1), SOON)  # type: ignore[misc]
            os.kill(pid, signal.SIGUSR1)
        if not FULL:
            wait_until(lambda: all(bench.is_whole(it) for it in containers), SOON)
    finally:
        bench.real.resume_runtime()
    for container in containers:
        bench.end(container)


def catches(pid: int, number: int) -> bool:
    """Tell whether a process has said what it does at a signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(line.split()[1] for line in lines if line.startswith("SigCgt"))
    return bool(int(mask, 16) >> (number - 1) & 1)
