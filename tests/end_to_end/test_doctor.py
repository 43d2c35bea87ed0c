"""The doctor names what is wrong, and nothing else; where nothing is, it says so at once."""

import json
import os
import re
import resource
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet
from click.testing import CliRunner

from app.cli.main import main
from app.doctor.build import NAMES
from tests.backends import wrong_clock
from tests.backends.programs import wait_until
from tests.conftest import require
from tests.end_to_end.doctor import FAULTS, TOKEN, Fault, Installation, clock_off, installation

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

SOON = 15.0
"""Seconds: an agent's lease, a scrape that fails, and a machine that has other work too."""
HEALTHY_SECONDS = 3.0
UNSET = {"mail", "synthetic_user"}


@pytest.fixture(scope="module")
def it() -> Iterator[Installation]:
    with installation() as made:
        yield made


def _parameter(fault: Fault) -> ParameterSet:
    marks = [pytest.mark.full] if fault.rare else []
    return pytest.param(fault, id=f"{fault.check}, {fault.name}", marks=marks)


def well(it: Installation) -> None:
    wait_until(lambda: not it.named(), 30, 0.2, otherwise=lambda: f"not well: {it.named()}")


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_there_are_twenty_faults() -> None:
    assert len([fault for fault in FAULTS if not fault.rare]) >= 20


@pytest.mark.parametrize("fault", [_parameter(fault) for fault in FAULTS])
def test_fault_is_named_and_nothing_else(it: Installation, fault: Fault) -> None:
    well(it)
    undo = fault.harm(it)
    try:
        told = fault.told(it)
        wait_until(
            lambda: fault.says in it.named(told).get(fault.check, ""),
            SOON,
            0.2,
            otherwise=lambda: f"it says {it.named(told)}",
        )
        assert list(it.named(told)) == [fault.check]
    finally:
        undo()


def test_healthy_installation_has_a_line_for_each_check(it: Installation) -> None:
    well(it)
    cpu, started = cpu_of_children(), time.monotonic()
    found = it.command()
    seconds, cpu = time.monotonic() - started, cpu_of_children() - cpu

    assert found.returncode == 0, found.stdout + found.stderr
    lines = [re.split("  +", line) for line in found.stdout.splitlines()]
    assert {name: outcome for name, outcome, _ in lines} == {
        name.replace("_", " "): "not configured" if name in UNSET else "ok" for name in NAMES
    }
    # Where many wait for a core, how long it took is no matter of the doctor's.
    assert cpu < HEALTHY_SECONDS / 2
    assert seconds < HEALTHY_SECONDS or os.getloadavg()[0] > 2 * (os.cpu_count() or 1)


def test_clock_that_is_off(it: Installation) -> None:
    require("libfaketime", wrong_clock.missing())
    well(it)
    found = it.command(**clock_off())

    assert found.returncode == 2
    wrong = [line for line in found.stdout.splitlines() if " failed " in line]
    assert len(wrong) == 1 and "The clock of this host is 36" in wrong[0], found.stdout
    assert "s behind" in wrong[0]


def test_support_bundle_of_a_whole_installation(it: Installation, tmp_path: Path) -> None:
    well(it)
    target = tmp_path / "bundle.tar.gz"
    arguments = ["support-bundle", str(target), "--log", str(it.server.log)]
    found = CliRunner().invoke(main, arguments, env=it.settings)

    assert found.exit_code == 0, found.output
    with tarfile.open(target) as archive:
        texts = {one.name.partition("/")[2]: read(archive, one) for one in archive.getmembers()}
    assert "vibebox_http_requests_total{" in texts["metrics.txt"]
    assert '"firing": []' in texts["alerts.json"]
    assert '"event": "listening"' in texts["logs/1-web.log"]
    assert json.loads(texts["doctor.json"])["outcome"] == "ok"
    assert "Missing: log.jsonl: VIBEBOX_LOG_STORE_URL is not set" in texts["README.txt"]
    assert [name for name, text in texts.items() if TOKEN in text] == []


def read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    assert file is not None
    return file.read().decode()
