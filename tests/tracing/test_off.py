"""Where nothing is exported nothing of OpenTelemetry is loaded, and nothing is recorded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import sys
from app import create_app
from app.core.trace_context import current

app = create_app()
with app.test_client().get("/nothing") as answer:  # closed, as every server does it
    assert answer.status_code == 404
assert current() is None
print([name for name in sys.modules if name.partition(".")[0] == "opentelemetry"])
"""


@pytest.mark.parametrize(
    ("settings", "recorded"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, True),
    ],
)
def test_no_process_that_serves_requests_loads_it(
    tmp_path: Path, settings: dict[str, str], recorded: bool
) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": f"sqlite:///{tmp_path}/vibebox.db",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "DOCKER_HOST": f"unix://{tmp_path}/none.sock",
        "VIBEBOX_TRACES_RATIO": "1",
        **settings,
    }
    (tmp_path / "metrics").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # Looking whether it is there loads the empty top of its packages, no more.
    assert done.stdout.splitlines()[-1] in (("[]",) if not recorded else ("['opentelemetry']",))
    assert (tmp_path / "metrics-traces").exists() is recorded
