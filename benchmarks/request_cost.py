"""CPU time of one request, in process: bare Flask, and what each way to measure adds.

Every variant answers the same JSON from the same route, in a process of its own. They take turns in
short rounds, so that another load on the machine hits all alike. What a variant adds is the median
of its differences to bare Flask in the same turn.
"""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import place
from benchmarks.child import REQUESTS
from benchmarks.table import Bar, Section, progress, times
from benchmarks.variants import VARIANTS

ROUNDS = 31
_ADDED_MICROSECONDS = 8.0
_ENDS_WITHIN = 10.0

Times = dict[str, list[float]]


def run() -> list[Bar]:
    """Measure, print the section, and return how its bar was met."""
    progress(f"{ROUNDS} rounds of {REQUESTS} requests, {len(VARIANTS)} variants in turn")
    measured = _measure()
    added = {
        name: statistics.median(_differences(rounds, measured["bare"]))
        for name, rounds in measured.items()
    }
    title = f"CPU time of one request, in process: median of {ROUNDS} rounds of {REQUESTS}"
    section = Section(title, "variant", "µs", "added µs", "added/ours")
    for name, variant in VARIANTS.items():
        if name in measured:
            median, more = statistics.median(measured[name]), added[name]
            ratio = "" if name == "bare" else times(more / added["ours"])
            section.row(variant.title, f"{median:.1f}", f"{more:.1f}", ratio)
        else:
            section.row(variant.title, "not installed: make benchmark")
    ours = added["ours"]
    promise = f"telemetry adds at most {_ADDED_MICROSECONDS:.0f} µs"
    return [Bar(promise, f"{ours:.1f} µs", ours <= _ADDED_MICROSECONDS)]


def _measure() -> Times:
    """Return the rounds of each variant that could be built."""
    with place.temporary() as directory, ExitStack() as stack:
        children = {
            name: stack.enter_context(child("benchmarks.child", directory, name))
            for name in VARIANTS
        }
        measured: Times = {name: [] for name, one in children.items() if round_of(one)}
        for _ in range(ROUNDS):
            for name, rounds in measured.items():
                rounds.append(round_of(children[name]))
        return measured


@contextmanager
def child(module: str, directory: Path, name: str) -> Iterator["subprocess.Popen[str]"]:
    """Start the process of a variant, and end it with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, name],
        cwd=place.ROOT,
        # One order of all dictionaries in all children.
        env={**place.environment(directory / name), "PYTHONHASHSEED": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        _, _ = process.communicate(timeout=_ENDS_WITHIN)


def round_of(child: "subprocess.Popen[str]") -> float:
    """Let the child run a round; 0 when it has ended, since it could not be built."""
    assert child.stdin is not None and child.stdout is not None
    try:
        print(file=child.stdin, flush=True)
    except BrokenPipeError:
        return 0.0
    return float(child.stdout.readline() or 0.0)


def _differences(rounds: list[float], bare: list[float]) -> list[float]:
    return [mine - theirs for mine, theirs in zip(rounds, bare, strict=True)]
