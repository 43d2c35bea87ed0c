"""Requests per second under wrk, and the CPU time that the server takes for one.

Every variant runs in gunicorn with the product's worker class and settings. They take turns of a
second, so that another load on the machine hits all alike; the servers whose turn it is not are
stopped (SIGSTOP), and take nothing from the one that is measured. A ratio is that of two turns of
one round, and ours and bare Flask are neighbours in it, each the first in every other round.

wrk is on the same machine and takes its part of it, from all variants alike. The CPU time does not
see that.
"""

import re
import shutil
import statistics
import subprocess
from contextlib import ExitStack
from typing import NamedTuple

import click

from benchmarks import place
from benchmarks.servers import Server, running
from benchmarks.table import Bar, Section, progress
from benchmarks.variants import PATH, VARIANTS

# One second is the shortest that wrk runs. More rounds: less is left to chance.
SECONDS = 1
ROUNDS = 24
# The peers are held to no bar: they are in every third round only.
_PEERS_EVERY = 3
CONNECTIONS = 16
_SHARE = 0.95
_COMPLETED = re.compile(r"(\d+) requests in ")
_PER_SECOND = re.compile(r"Requests/sec:\s+([\d.]+)")
_FAULTS = re.compile(r"Non-2xx.*|Socket errors:.*")
_TITLE = (
    f"Throughput, gunicorn with 2 workers, wrk with {CONNECTIONS} connections: "
    f"medians of {ROUNDS} turns of {SECONDS} s (peers: {ROUNDS // _PEERS_EVERY})"
)


class Run(NamedTuple):
    """What one run of wrk came to."""

    per_second: float
    cpu_microseconds: float


# Each run of a variant, and that of bare Flask in the same round.
Runs = dict[str, list[tuple[Run, Run]]]


def run() -> list[Bar]:
    """Measure, print the section, and return how its bar was met."""
    if shutil.which("wrk") is None:
        click.echo("\nThroughput: left out, since wrk is missing. Next step: apt-get install wrk")
        return []
    progress(f"{ROUNDS} rounds of turns of {SECONDS} s, {len(VARIANTS)} servers")
    runs = _measure()
    section = Section(_TITLE, "variant", "requests/s", "of bare", "CPU µs", "added µs")
    for name, variant in VARIANTS.items():
        cells = _cells(runs[name]) if name in runs else ["cannot serve"]
        section.row(variant.title, *cells)
    share = _share(runs["ours"])
    promise = f"throughput at least {_SHARE:.0%} of bare"
    return [Bar(promise, f"{share:.1%}", share >= _SHARE)]


def _measure() -> Runs:
    """Return the runs of each variant that could be served."""
    with place.temporary() as directory, ExitStack() as stack:
        servers: dict[str, Server] = {}
        for name in VARIANTS:
            try:
                server = stack.enter_context(running(name, directory / name))
                _wrk(server)  # to warm it up
                server.pause()
                servers[name] = server
            except subprocess.SubprocessError as error:
                progress(f"{name} is left out: {error}")
        runs: Runs = {name: [] for name in servers}
        for number in range(ROUNDS):
            done = {name: _serve(servers[name]) for name in _turns(list(servers), number)}
            for name, mine in done.items():
                runs[name].append((mine, done["bare"]))
        return runs


def _turns(names: list[str], number: int) -> list[str]:
    """Return the order of a round: ours and bare at its beginning, in turns."""
    pair = ["bare", "ours"] if number % 2 == 0 else ["ours", "bare"]
    if number % _PEERS_EVERY:
        return pair
    return pair + [name for name in names if name not in pair]


def _serve(server: Server) -> Run:
    server.resume()
    before = server.cpu_seconds()
    completed, per_second = _wrk(server)
    cpu = (server.cpu_seconds() - before) / completed * 1e6
    server.pause()
    return Run(per_second, cpu)


def _wrk(server: Server) -> tuple[int, float]:
    """Return how many requests were answered, and how many in a second."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", server.url + PATH]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    completed, per_second = _COMPLETED.search(told), _PER_SECOND.search(told)
    if completed is None or per_second is None or _FAULTS.search(told):
        raise subprocess.SubprocessError(f"wrk was not answered as it should be:\n{told}")
    return int(completed[1]), float(per_second[1])


def _cells(runs: list[tuple[Run, Run]]) -> list[str]:
    per_second = statistics.median(mine.per_second for mine, _ in runs)
    cpu = statistics.median(mine.cpu_microseconds for mine, _ in runs)
    added = statistics.median(mine.cpu_microseconds - bare.cpu_microseconds for mine, bare in runs)
    return [f"{per_second:,.0f}", f"{_share(runs):.1%}", f"{cpu:.0f}", f"{added:.0f}"]


def _share(runs: list[tuple[Run, Run]]) -> float:
    return statistics.median(mine.per_second / bare.per_second for mine, bare in runs)
