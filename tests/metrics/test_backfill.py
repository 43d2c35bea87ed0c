"""Counters are backfilled from the database: never too little after a kill, never twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.metrics.backfill import directory_identity
from prefork_metrics.directory import prepare
from tests.backends.web import ROOT

FAMILY = "vibebox_environment_exits_total"
# A process of its own, for the metrics client joins the directory when it is imported. It counts,
# backfills, and dies like a killed one, or leaves.
PROGRAM = """
import json, os, sys
counted, numbers, dies = json.load(sys.stdin)
from app.metrics.catalogue import create_expected, environment_exits
from app.metrics.backfill import backfill
from prefork_metrics.values import store
create_expected()
for reason, amount in counted.items():
    environment_exits.child(reason).inc(amount)
family = "vibebox_environment_exits_total"
missing = backfill({(family, reason): number for reason, number in numbers.items()})
print(json.dumps({value: amount for (_, value), amount in missing.items()}), flush=True)
if not dies:
    store.leave()
os._exit(0)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "metrics"
    prepare(directory)
    return directory


def agent(
    directory: Path, counted: dict[str, int], numbers: dict[str, int], dies: bool = True
) -> dict[str, int]:
    """Let a process count, then backfill what `numbers` say is missing; return that."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([counted, numbers, dies]),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PROMETHEUS_MULTIPROC_DIR": str(directory)},
        capture_output=True,
        text=True,
        check=True,
    )
    missing: dict[str, int] = json.loads(done.stdout)
    return missing


@pytest.mark.integration
def test_what_is_missing_is_backfilled_once(directory: Path) -> None:
    assert agent(directory, {"user": 2}, {"user": 2}) == {}
    # One more was stored by who died before it counted it.
    assert agent(directory, {}, {"user": 3, "oom": 1}) == {"user": 1, "oom": 1}
    assert agent(directory, {}, {"user": 3, "oom": 1}, dies=False) == {}
    # More is shown than is stored: counters are never taken back.
    assert agent(directory, {"killed": 1}, {"user": 3}) == {}
    assert agent(directory, {}, {"user": 3, "oom": 1, "killed": 2}) == {"killed": 1}


@pytest.mark.integration
def test_other_families_are_left_alone(directory: Path) -> None:
    program = PROGRAM.replace('family = "vibebox_environment_exits_total"', 'family = "other"')
    assert program != PROGRAM
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps([{}, {"user": 5}, True]),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PROMETHEUS_MULTIPROC_DIR": str(directory)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {}


def test_directory_keeps_its_identity_until_it_is_emptied(directory: Path) -> None:
    first = directory_identity(directory)

    assert directory_identity(directory) == first
    assert len(first) == 36
    prepare(directory)
    assert directory_identity(directory) != first


def test_broken_identity_is_made_anew(directory: Path) -> None:
    (directory / "identity.txt").write_text("x" * 100)

    assert len(directory_identity(directory)) == 36
