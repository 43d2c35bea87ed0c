"""Time of one scrape: our aggregator, warm, beside the client library's own collector.

The files are those of that many processes that all have the same series, written by the client
library with an injected process identifier. Between two scrapes of ours a tenth of the series of
one process changes. Half of the lines are a histogram's, as in VibeBox itself.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import CollectorRegistry
from prometheus_client.values import MultiProcessValue, close_all_multiprocess_files

from app.telemetry.aggregation import Aggregator

PROCESSES = (1, 4, 16, 64)
LINES = (300, 3_000, 30_000)
# The stock collector needs half a minute for the largest; one round is enough to tell.
ROUNDS = 11
STOCK_SECONDS = 2.0
BOUNDS = (*(f"{2.0**exponent}" for exponent in range(-10, 2)), "+Inf")
_ROUTES = 25


def main() -> None:
    print(f"{'processes':>9} {'lines':>7} {'ours cold':>10} {'ours warm':>10} {'stock':>10} ratio")
    for lines in LINES:
        for processes in PROCESSES:
            with tempfile.TemporaryDirectory() as name:
                cold, warm, stock = _measure(Path(name), processes, lines)
            times = f"{_ms(cold)} {_ms(warm)} {_ms(stock)}"
            print(f"{processes:9d} {lines:7,d} {times} {stock / warm:4.0f}x", flush=True)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:7.1f} ms"


def _measure(directory: Path, processes: int, lines: int) -> tuple[float, float, float]:
    before = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    try:
        values = [_process(f"{number:032x}", lines) for number in range(processes)]
        files = sorted(directory.glob("*.db"))
        aggregator = Aggregator()
        cold = _seconds(lambda: aggregator.render(files, openmetrics=False))
        warm = []
        for _ in range(ROUNDS):
            for value in values[0][::10]:
                value.inc(1.0)
            warm.append(_seconds(lambda: aggregator.render(files, openmetrics=False)))
        return cold, statistics.median(warm), _stock(directory)
    finally:
        close_all_multiprocess_files()
        if before is None:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]
        else:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = before


def _stock(directory: Path) -> float:
    seconds: list[float] = []
    while len(seconds) < ROUNDS and sum(seconds) < STOCK_SECONDS:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(directory))
        seconds.append(_seconds(lambda: generate_latest(registry)))  # noqa: B023, called at once
    return statistics.median(seconds)


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _process(member: str, lines: int) -> list[Any]:
    """Write one process's series, as many as give `lines` samples, and return their handles."""
    make = MultiProcessValue(lambda: member)
    values: list[Any] = []
    series = lines // 2 // (len(BOUNDS) + 2)
    for number in range(series):
        names, texts = ("method", "route"), ("GET", f"/api/items/{number}")
        family = f"vibebox_part{number // _ROUTES}_duration_seconds"
        for bound in BOUNDS:
            le = ((*names, "le"), (*texts, bound))
            values.append(make("histogram", family, f"{family}_bucket", *le, "Seconds."))
        values.append(make("histogram", family, f"{family}_sum", names, texts, "Seconds."))
    for number in range(lines - series * (len(BOUNDS) + 2)):
        family = f"vibebox_part{number // _ROUTES}"
        names, texts = ("route", "status"), (f"/api/items/{number}", "200")
        values.append(make("counter", family, f"{family}_total", names, texts, "Events."))
    for number, value in enumerate(values):
        value.inc(number * 0.25)
    return values


if __name__ == "__main__":
    main()
