"""A process that counts what a test tells it."""

import subprocess
import sys

_PROGRAM = """
import sys
from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary
import prefork_metrics
prefork_metrics.Counter  # installs the store
from prefork_metrics.values import store
counter = Counter("hits", "Help.", ["x"])
pairs = Counter("pairs", "Help.", ["x", "y"])
gauge = Gauge("level", "Help.", ["x"], multiprocess_mode="max")
histogram = Histogram("seconds", "Help.", ["x"], buckets=[0.5])
summary = Summary("sizes", "Help.", ["x"])
modes = {
    mode: Gauge(f"of_{mode}", "Help.", ["x"], multiprocess_mode=mode)
    for one in ("all", "min", "max", "sum", "mostrecent")
    for mode in (one, f"live{one}")
}
info = Info("build", "Help.", ["x"])
enum = Enum("mode", "Help.", ["x"], states=["off", "on"])
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Other:
    """Another process, with metrics of each type. It shares the environment's directory."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, *statements: str) -> None:
        """Have the process run these, one after the other."""
        assert self._process.stdin and self._process.stdout
        for statement in statements:
            self._process.stdin.write(f"{statement}\n")
            self._process.stdin.flush()
            assert self._process.stdout.readline() == "done\n", statement

    def end(self) -> None:
        """End it in good order; harmless the second time."""
        self._process.communicate(timeout=30)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._process.communicate(timeout=30)
