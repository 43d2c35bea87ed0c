"""What it costs to read the use of containers, from the kernel's files and through the engine.

Of idle containers, with a database of its own; the engine's share and that of its runtime count.
500 are what is promised: a reading costs each container the same, so that a part of them tells.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any
from unittest import mock

import click
import psutil

from benchmarks import place
from benchmarks.table import Bar, Section, milliseconds, progress

CONTAINERS = int(os.environ.get("BENCHMARK_CONTAINERS", "50"))
_PROMISED = 500
_ROUNDS = 10
_INTERVAL = 10.0
_SHARE = 0.10
_FILES = "app.agent.usage.sources.group_files"


def run() -> list[Bar]:
    """Measure, print the section, and return how the bars were met; nothing without Docker."""
    from app.agent.usage.asking import PER_SECOND
    from tests.backends.docker_engine import DockerEngine

    if missing := DockerEngine.installed():
        click.echo(f"\nusage is left out: {missing}; make test-services", err=True)
        return []
    progress(f"starting {CONTAINERS} containers")
    with _bench() as bench:
        for number in range(CONTAINERS):
            bench.launch("sleep 1000", f"idle-{number}")
        files, took_files = _cost(bench)
        with mock.patch(_FILES, lambda *_: None):
            asked, took_asked = _cost(bench)
    shares = (files * _PROMISED / _INTERVAL, asked * min(_PROMISED / _INTERVAL, PER_SECOND))
    section = Section(
        f"A reading of what {CONTAINERS} containers use, the engine's share included",
        "by",
        "CPU of each",
        "round",
        "of a core",
    )
    rows = (("kernel's files", files, took_files), ("engine", asked, took_asked))
    for (name, cpu, took), share in zip(rows, shares, strict=True):
        section.row(name, milliseconds(cpu), milliseconds(took), f"{share:.1%}")
    return [
        Bar(f"{_PROMISED} by {name}: under {_SHARE:.0%} of a core", f"{share:.1%}", share < _SHARE)
        for name, share in zip(("files", "engine"), shares, strict=True)
    ]


@contextmanager
def _bench() -> Iterator[Any]:
    from app.engine import DockerEngine as Gateway
    from app.storage import Database
    from tests.agent.usage.bench import Bench
    from tests.backends.docker_engine import DockerEngine
    from tests.backends.migrated import at_head

    with ExitStack() as stack:
        directory = stack.enter_context(place.temporary())
        real = stack.enter_context(closing(DockerEngine()))
        gateway = stack.enter_context(closing(Gateway(real.host, query_timeout=30)))
        database = Database(at_head(f"sqlite:///{directory}/vibebox.db"))
        stack.callback(database.dispose)
        yield Bench(database, real, gateway)
        real.clear()


def _cost(bench: Any) -> tuple[float, float]:
    """Return the CPU seconds that a reading of one container takes, and the seconds of a round."""
    from app.agent.usage.meter import Meter
    from app.domain.usage.ledger import Ledger
    from app.storage.fence import unfenced

    progress(f"reading them {_ROUNDS} times")
    # Whatever a round may ask for, all are asked for in each.
    with mock.patch("app.agent.usage.meter.PER_SECOND", float("inf")):
        meter = Meter(bench.database, bench.gateway, Ledger(bench.database, unfenced), 0)
        meter.run()  # which looks for where to read
        before, began = cpu_seconds(bench.real), time.monotonic()
        for _ in range(_ROUNDS):
            meter.run()
    used, took = cpu_seconds(bench.real) - before, time.monotonic() - began
    meter.close(60)
    return used / _ROUNDS / CONTAINERS, took / _ROUNDS


def cpu_seconds(engine: Any) -> float:
    """Return what this process, the engine and its runtime have used so far."""
    daemon = psutil.Process(engine.pid)
    processes = [daemon, *daemon.children()]
    # Those that hold the containers, and read their groups for the engine, are nobody's children.
    held = psutil.process_iter(["name"])
    processes += [one for one in held if one.info["name"] == "containerd-shim"]
    times = [one.cpu_times() for one in processes]
    return time.process_time() + sum(one.user + one.system for one in times)
