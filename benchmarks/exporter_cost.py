"""CPU time of the exporter's process for the traces that a measured process has left in its rings.

It sends to a receiver that takes everything and does nothing. What its start takes, and its looks
at empty rings, is measured beside it and taken off.
"""

import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import place
from benchmarks.servers import Server

_STARTS_WITHIN = 30.0
_SENDS_WITHIN = 300.0
_RUNS = 2.0
_LOOK = 0.1
_POSITIONS = struct.Struct("@8xQQ")
"""At the beginning of a ring: how far it is written, and read."""


def microseconds_per_trace(directory: Path, traces: int) -> float | None:
    """Return what sending takes of each trace in a process's directory; None where it cannot.

    Raises: SubprocessError where it does not send all of them.
    """
    if find_spec("opentelemetry.proto") is None:
        return None
    with _receiver() as url:
        idle = _cpu_seconds(directory.with_name("idle"), url)
        busy = _cpu_seconds(directory, url)
    return max(0.0, busy - idle) / traces * 1e6


def _cpu_seconds(directory: Path, url: str) -> float:
    """Return what an exporter has taken after a while, in which it has sent what there was."""
    log = directory.with_name(f"{directory.name}-exporter.log")
    environment = place.environment(directory, OTEL_EXPORTER_OTLP_ENDPOINT=url)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "exporter"],
            cwd=place.ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(process, _STARTS_WITHIN, lambda: b"exporting traces" in log.read_bytes(), log)
        started = time.monotonic()
        rings = Path(f"{environment['PROMETHEUS_MULTIPROC_DIR']}-traces")
        _wait(process, _SENDS_WITHIN, lambda: _is_sent(rings), log)
        time.sleep(max(_LOOK, started + _RUNS - time.monotonic()))
        return Server(0, process).cpu_seconds()
    finally:
        process.terminate()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", seconds: float, condition: Any, log: Path) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None or time.monotonic() > ends_at:
            said = log.read_text(errors="replace")[-2000:]
            raise subprocess.SubprocessError(f"the exporter did not send:\n{said}")
        time.sleep(_LOOK)


def _is_sent(rings: Path) -> bool:
    for path in rings.glob("ring-[0-9][0-9]"):
        with path.open("rb") as file:
            written, read = _POSITIONS.unpack(file.read(_POSITIONS.size))
        if written != read:
            return False
    return True


@contextmanager
def _receiver() -> Iterator[str]:
    """Take what comes, for as long as the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
