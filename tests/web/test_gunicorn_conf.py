"""gunicorn's configuration: what it refuses, and what it sets."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends.programs import free_port

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "gunicorn.conf.py"
# Runs, for each of several environments, the hook that the master runs before it binds: no server
# is needed for what it refuses, and one process serves for all.
START = """
import contextlib, io, json, os, runpy, sys
from gunicorn.config import Config
results = []
for settings in json.load(sys.stdin):
    os.environ.update(settings)
    code, errors = 0, io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            hooks = runpy.run_path(sys.argv[1])
            server = type("Server", (), {"master_pid": 0, "cfg": Config()})()
            server.cfg.set("bind", hooks["bind"])
            hooks["on_starting"](server)
            hooks["on_exit"](server)
        except SystemExit as error:
            code = error.code
        except Exception as error:
            code, _ = -1, print(repr(error), file=sys.stderr)
    results.append([code, errors.getvalue()])
json.dump(results, sys.stdout)
"""


def environment(**settings: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONSAFEPATH": "1", **settings}


def check(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Let gunicorn check its configuration."""
    arguments = [sys.executable, "-m", "gunicorn", "--check-config", "-c", str(CONFIG)]
    return subprocess.run(
        [*arguments, "app.wsgi:app"],
        env=environment(
            DATABASE_URL=f"sqlite:///{tmp_path}/x.db",
            PROMETHEUS_MULTIPROC_DIR=str(tmp_path),
            **settings,
        ),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )


def starts(cases: list[dict[str, str]]) -> list[tuple[int, list[str]]]:
    """Run what gunicorn's master runs at its start; return exit code and lines for each case."""
    done = subprocess.run(
        [sys.executable, "-c", START, str(CONFIG)],
        env=environment(),
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [(code, text.splitlines()) for code, text in json.loads(done.stdout)]


def test_every_bad_setting_is_listed(tmp_path: Path) -> None:
    result = check(
        tmp_path, PORT="x", VIBEBOX_THREADS="0", VIBEBOX_THREDS="1", VIBEBOX_LOG_LEVEL="loud"
    )

    assert result.returncode == 2
    heading, *mistakes = result.stderr.splitlines()
    assert heading == "VibeBox cannot start:"
    assert [line.strip().partition(":")[0] for line in mistakes] == [
        "PORT",
        "VIBEBOX_LOG_LEVEL",
        "VIBEBOX_THREADS",
        "VIBEBOX_THREDS",
    ]


def test_start_is_refused_in_one_sentence_or_goes_on(
    tmp_path: Path, database_url: str, subtests: pytest.Subtests, request: pytest.FixtureRequest
) -> None:
    taken, metrics = tmp_path / "taken", tmp_path / "metrics"
    taken.mkdir()
    (taken / "notes.txt").write_text("precious")
    good = {
        "DATABASE_URL": database_url,
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "PORT": str(free_port()),
    }
    other = socket.create_server(("127.0.0.1", 0))
    request.addfinalizer(other.close)
    directory, url = "PROMETHEUS_MULTIPROC_DIR", "DATABASE_URL"
    cases: dict[str, tuple[dict[str, str], str]] = {
        "other things": ({directory: str(taken)}, "holds other things (notes.txt)"),
        "cannot be made": ({directory: "/proc/nowhere"}, "cannot be made"),
        "port": ({"PORT": str(other.getsockname()[1])}, "something else listens there"),
        "no schema": ({url: f"sqlite:///{tmp_path}/empty.db"}, "run `vibebox migrate`"),
        "no file": ({url: "sqlite:///:memory:"}, "name a plain file in the URL"),
        "good": ({}, ""),
        "absent database": ({url: "postgresql://ada:s3cr3t@127.0.0.1:1/x"}, ""),
    }
    results = starts([{**good, **settings} for settings, _ in cases.values()])

    for (name, (_, words)), (code, lines) in zip(cases.items(), results, strict=True):
        with subtests.test(name):
            assert code == (2 if words else 0), lines
            assert "s3cr3t" not in "".join(lines)
            if words:
                (line,) = lines
                assert line.startswith("VibeBox cannot start: ") and words in line
    assert (taken / "notes.txt").read_text() == "precious"
    # Nothing is counted before the server is ready.
    assert {file.suffix for file in metrics.iterdir()} == {".lock"}
