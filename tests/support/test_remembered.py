"""What is kept is what would be computed, and nothing else is."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import remembered
from tests.support.remembered import Completed, Spent, completed, spent_once


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(remembered, "RESULTS", tmp_path)
    monkeypatch.setattr(remembered, "REMEMBER", True)
    monkeypatch.setattr(Spent, "seconds", 0.0)
    yield tmp_path


def program(*ends: int) -> tuple[Callable[[], Completed], list[int]]:
    """Return a program that ends so, time after time, and what it has left to do."""
    left = list(ends)

    def run() -> Completed:
        code = left.pop(0)
        return subprocess.CompletedProcess([], code, f"out {code}", f"err {code}")

    return run, left


def always(_: Completed) -> bool:
    return True


def test_the_same_inputs_are_computed_once() -> None:
    run, left = program(1, 0)
    first, second = (completed({"a": 1, "b": [2]}, run, always) for _ in range(2))
    assert (first.returncode, first.stdout, first.stderr) == (1, "out 1", "err 1")
    assert (second.returncode, second.stdout, second.stderr) == (1, "out 1", "err 1")
    assert left == [0]


@pytest.mark.parametrize("other", [{"a": 2}, {"a": 1, "b": 0}, {"b": 1}, ["a", 1]])
def test_other_inputs_are_computed_anew(other: object) -> None:
    run, left = program(1, 0)
    completed({"a": 1}, run, always)
    assert completed(other, run, always).returncode == 0
    assert left == []


def test_what_is_not_trusted_is_not_kept() -> None:
    run, left = program(1, 0)
    completed("it", run, lambda done: done.returncode == 0)
    assert completed("it", run, lambda done: done.returncode == 0).returncode == 0
    assert left == []


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    run, left = program(1, 0, 3)
    completed("it", run, always)
    monkeypatch.setattr(remembered, "REMEMBER", False)
    assert completed("it", run, always).returncode == 0
    assert completed("other", run, always).returncode == 3
    assert (left, len(list(place.glob("*/*")))) == ([], 1)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"returncode": 0}'])
def test_a_broken_file_is_computed_anew(text: str, place: Path) -> None:
    run, left = program(1, 0)
    completed("it", run, always)
    (file,) = place.glob("*/*.json")
    file.write_text(text)
    assert completed("it", run, always).returncode == 0
    assert completed("it", run, always).returncode == 0
    assert left == []


def test_many_at_once_leave_one_whole_result(place: Path) -> None:
    run, _ = program(*[5] * 40)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: completed("it", run, always).returncode, range(40)))
    assert found == [5] * 40
    assert len(list(place.glob("*/*"))) == 1


def test_only_what_is_kept_is_spent_once() -> None:
    def slow() -> Completed:
        time.sleep(0.05)
        return subprocess.CompletedProcess([], 0, "", "")

    completed("it", slow, always)
    assert Spent.take() >= 0.05
    completed("it", slow, always)
    completed("other", slow, lambda _: False)
    assert Spent.take() == 0
    with spent_once():
        time.sleep(0.05)
    assert Spent.take() >= 0.05


def test_what_nobody_asks_for_is_forgotten(place: Path) -> None:
    run, _ = program(0, 0)
    completed("old", run, always)
    (old,) = place.glob("*/*")
    os.utime(old, (0, 0))
    completed("new", run, always)
    remembered.forget_unused()
    assert len(kept := list(place.glob("*/*"))) == 1 and kept != [old]


def test_what_is_asked_for_is_kept(place: Path) -> None:
    run, _ = program(0)
    completed("it", run, always)
    (file,) = place.glob("*/*")
    os.utime(file, (0, 0))
    completed("it", run, always)
    remembered.forget_unused()
    assert file.exists()
