"""The exporter as somebody starts it by hand, beside another one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.backends.programs import alive, wait_until

PATIENCE = 30.0
COMMAND = f"{sys.executable} -P -m app.cli exporter"


def test_it_outlives_its_shell_and_loads_nothing_while_another_one_works(tmp_path: Path) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    }
    (tmp_path / "metrics").mkdir()
    log = tmp_path / "log"

    def start() -> psutil.Process:
        line = f"{COMMAND} >>{log} 2>&1 & echo $!"
        shell = subprocess.run(["sh", "-c", line], env=env, capture_output=True, check=True)
        process = psutil.Process(int(shell.stdout))
        wait_until(lambda: bool(process.children()), PATIENCE)
        return process

    started = []
    try:
        started.append(start())
        wait_until(lambda: "exporting traces" in log.read_text(), PATIENCE)
        (working,) = started[0].children()
        started.append(start())
        (waiting,) = started[1].children()
        assert "upb" in libraries(working)
        wait_until(lambda: "exporter.lock" in files(waiting), PATIENCE)
        assert "upb" not in libraries(waiting)
        assert "sqlalchemy" not in libraries(waiting)
        started[0].send_signal(signal.SIGTERM)
        wait_until(lambda: log.read_text().count("exporting traces") == 2, PATIENCE)
    finally:
        for process in started:
            if alive(process):
                process.send_signal(signal.SIGTERM)
        wait_until(lambda: not any(map(alive, started)), PATIENCE)


def libraries(process: psutil.Process) -> str:
    """Return the libraries that a process has loaded, by their paths."""
    return " ".join(one.path for one in process.memory_maps() if one.path.endswith(".so"))


def files(process: psutil.Process) -> str:
    return " ".join(one.path for one in process.open_files())
