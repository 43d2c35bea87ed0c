"""A file that grew by half is found on a quick and on a slow machine, and nothing else is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ledger
from tests.support.ledger import grown, rounded

LEDGER = {"a.py": 60.0, "b.py": 30.0, "c.py": 10.0, "d.py": 2.0}


@pytest.mark.parametrize("pace", [0.5, 1, 3])
def test_a_slow_machine_is_no_growth(pace: float) -> None:
    assert grown(LEDGER, {name: seconds * pace for name, seconds in LEDGER.items()}) == []


@pytest.mark.parametrize("pace", [0.5, 1, 3])
def test_a_file_that_doubled_is_named(pace: float) -> None:
    took = {name: seconds * pace for name, seconds in LEDGER.items()} | {"b.py": 120 * pace}
    (found,) = grown(LEDGER, took)
    assert found.startswith("b.py took")


def test_short_files_may_grow() -> None:
    assert grown(LEDGER, LEDGER | {"d.py": 10.0, "c.py": 17.0}) == []


def test_a_long_file_may_vary() -> None:
    assert grown(LEDGER, LEDGER | {"a.py": 80.0}) == []


def test_a_new_file_that_is_long_needs_an_entry() -> None:
    assert grown(LEDGER, LEDGER | {"new.py": 9.0}) == []
    (found,) = grown(LEDGER, LEDGER | {"new.py": 40.0})
    assert found.startswith("new.py took 40 s")


def test_a_part_of_the_files_is_compared_by_itself() -> None:
    assert grown(LEDGER, {"a.py": 60.0}) == []


def test_what_is_written_is_round_and_begins_with_the_longest() -> None:
    took = {"a.py": 2.4, "b.py": 0.2, "c.py": 71.7}
    assert list(rounded(took).items()) == [("c.py", 72), ("a.py", 2)]


def test_the_ledger_is_as_it_is_written_and_make_test_compares_with_it() -> None:
    assert "$(TEST) --ledger" in (ledger.FILE.parents[1] / "Makefile").read_text()
    files = ledger.read()
    assert list(files.items()) == list(rounded(files).items())


INNER = """
from pathlib import Path
from tests.support import ledger
ledger.FILE = Path(__file__).with_name("seconds.json")
ledger.LEAST_SECONDS = ledger.NOTED_SECONDS = 0.2
"""
PARTS = """
import time
def test_b(subtests):
    with subtests.test("a part"): time.sleep(0.15)
"""
OPTIONS = "-v -p no:cacheprovider -p tests.support.ledger --ledger".split()


def run_both(
    directory: Path, seconds: dict[str, float], **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a slow and a quick file of tests with a ledger of their own."""
    (directory / "test_a.py").write_text("import time\ndef test_a(): time.sleep(0.7)\n")
    (directory / "test_b.py").write_text(PARTS)
    (directory / "conftest.py").write_text(INNER)
    (directory / "seconds.json").write_text(json.dumps(seconds))
    place = ["-c", os.devnull, f"--rootdir={directory}", str(directory)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, *place],
        cwd=ledger.FILE.parents[1],
        env={**os.environ, "FULL": "", "LEDGER": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_run_in_ci_fails_for_a_file_that_grew(tmp_path: Path) -> None:
    seconds = {"test_a.py": 0.3, "test_b.py": 0.6}
    grew = run_both(tmp_path, seconds, CI="true")
    assert grew.returncode == 1, grew.stdout + grew.stderr
    assert "grew by half (make ledger, if it must): test_a.py took 1 s" in grew.stdout
    assert grew.stdout.index("test_b.py::") < grew.stdout.index("test_a.py::")
    assert run_both(tmp_path, seconds, CI="false").returncode == 0


def test_the_ledger_is_written_on_demand(tmp_path: Path) -> None:
    written = run_both(tmp_path, {}, LEDGER="write")
    assert written.returncode == 0, written.stdout + written.stderr
    assert json.loads((tmp_path / "seconds.json").read_text()) == {"test_a.py": 1}
