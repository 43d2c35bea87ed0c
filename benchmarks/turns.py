"""Variants that take turns, each in a process of its own: so that another load hits all alike.

Where a process happens to have its memory makes it faster or slower by some percent for as long as
it lives, which is as much as the smallest differences that are looked for: so the processes are
started anew several times.
"""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import place
from benchmarks.table import progress

STARTS = 9
"""How often each variant's process is started."""
ROUNDS = 5
"""Rounds of each process."""
OF_ALL = f"median of {STARTS} starts with {ROUNDS} rounds"
_ENDS_WITHIN = 10.0

Times = dict[str, list[float]]
"""Microseconds of a request by variant: of each of its rounds."""


def measure(module: str, directory: Path, variants: Iterable[str]) -> Times:
    """Return the rounds of each variant that could be built.

    What each process leaves is in `place_of` its start.
    """
    measured: Times = {name: [] for name in variants}
    for start in range(STARTS):
        progress(f"start {start + 1} of {STARTS}: {len(measured)} variants of {module} in turn")
        with ExitStack() as stack:
            children = {
                name: stack.enter_context(_child(module, place_of(directory, name, start), name))
                for name in measured
            }
            # The first round is for warming up.
            measured = {name: measured[name] for name, one in children.items() if _round(one)}
            for _ in range(ROUNDS):
                for name, rounds in measured.items():
                    rounds.append(_round(children[name]))
    return measured


def place_of(directory: Path, name: str, start: int = STARTS - 1) -> Path:
    """Return where a variant's process has its files; of the last start, unless it is said."""
    return directory / str(start) / name


@contextmanager
def _child(module: str, directory: Path, name: str) -> Iterator["subprocess.Popen[str]"]:
    """Start the process of a variant, and end it with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, name],
        cwd=place.ROOT,
        # One order of all dictionaries in all children.
        env={**place.environment(directory), "PYTHONHASHSEED": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        _, _ = process.communicate(timeout=_ENDS_WITHIN)


def _round(child: "subprocess.Popen[str]") -> float:
    """Let the child run a round; 0 when it has ended, since it could not be built."""
    assert child.stdin is not None and child.stdout is not None
    try:
        print(file=child.stdin, flush=True)
    except BrokenPipeError:
        return 0.0
    return float(child.stdout.readline() or 0.0)
