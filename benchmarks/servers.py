"""A gunicorn of a variant: started on a free port of 127.0.0.1, and ended by its pid."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks import place

_STARTS_WITHIN = 20.0
_ENDS_WITHIN = 15.0
_CPU_FIELDS = slice(11, 15)  # of /proc/PID/stat after the name: utime, stime, and of dead children
_GROUP_FIELD = 2
_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A running server; its processes are a process group of their own."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]") -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._group = process.pid

    def pause(self) -> None:
        """Let none of its processes run."""
        os.killpg(self._group, signal.SIGSTOP)

    def resume(self) -> None:
        """Let them run on, as if nothing had been; not later than gunicorn's timeout."""
        os.killpg(self._group, signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """Return the CPU time that master and workers have taken."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # a process that has ended meanwhile
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[_GROUP_FIELD]) == self._group:
                    ticks += sum(map(int, fields[_CPU_FIELDS]))
        return ticks / _TICKS


@contextmanager
def running(variant: str, directory: Path) -> Iterator[Server]:
    """Serve the variant for as long as the block. Raises: SubprocessError, with what it said."""
    port, log = _free_port(), directory / "log"
    directory.mkdir()
    settings = {"BENCHMARK_VARIANT": variant, "HOST": "127.0.0.1", "PORT": str(port)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "benchmarks/server.py", "benchmarks.wsgi:app"],
            cwd=place.ROOT,
            env=place.environment(directory, WEB_CONCURRENCY="2", **settings),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        if not _answers(port, process):
            said = log.read_text(errors="replace")[-2000:]
            raise subprocess.SubprocessError(f"gunicorn did not serve {variant}:\n{said}")
        yield Server(port, process)
    finally:
        _end(process)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _answers(port: int, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until a worker answers; false when the server has ended or takes too long."""
    deadline = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
            peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if peer.recv(1):
                return True
        time.sleep(0.05)
    return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)
    try:
        process.wait(_ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own group: see start_new_session
        process.wait()
