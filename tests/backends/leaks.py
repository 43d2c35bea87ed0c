"""What a test must give back: threads, file descriptors and processes."""

import gc
import os
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

import psutil

from tests.backends import warm
from tests.backends.children import children

GRACE = 2.0
"""Seconds that closing may take: threads end and processes are reaped a moment after."""


@dataclass(frozen=True)
class Snapshot:
    """Everything this process holds, each with a description for people."""

    threads: dict[threading.Thread, str]
    descriptors: dict[tuple[int, str], str]
    processes: dict[psutil.Process, str]


def snapshot() -> Snapshot:
    """Record the threads, file descriptors and child processes that exist now."""
    return Snapshot(_threads(), _descriptors(), _processes())


def _threads() -> dict[threading.Thread, str]:
    return {thread: f"thread {thread.name}" for thread in threading.enumerate()}


def _descriptors() -> dict[tuple[int, str], str]:
    found = {}
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue  # The one that listed the directory.
        found[number, target] = f"file descriptor {number}: {target}"
    return found


def _processes() -> dict[psutil.Process, str]:
    # Children only. A descendant whose parent lives belongs to that parent, which is listed; one
    # whose parent has died cannot be told from a stranger's process.
    starter = warm.pid()
    found = children(os.getpid())
    if starter is not None:
        found += children(starter)
    return {process: _describe(process) for process in found if process.pid != starter}


def _describe(process: psutil.Process) -> str:
    try:
        command = " ".join(process.cmdline()) or f"({process.name()}, {process.status()})"
    except psutil.Error:
        command = "(ended)"
    return f"process {process.pid}: {command}"


def wait_for_none(
    before: Snapshot, ignore: Collection[int] = (), grace: float = GRACE
) -> list[str]:
    """Return what has been added since `before` and does not go away within the grace period.

    Processes in `ignore` (by id) belong to the session, not to the test.
    """
    found = leaked(before, ignore)
    deadline = time.monotonic() + grace
    while found and time.monotonic() < deadline:
        # Objects in reference cycles hold on to descriptors until the collector comes by.
        gc.collect()
        time.sleep(0.02)
        found = leaked(before, ignore)
    return found


def leaked(before: Snapshot, ignore: Collection[int] = ()) -> list[str]:
    """Return descriptions of what has been added since `before`.

    Descriptors count by number: a test may swap one (a log file reopened), but not add one.
    """
    now = snapshot()
    found = [text for thread, text in now.threads.items() if thread not in before.threads]
    found += [
        text
        for process, text in now.processes.items()
        if process not in before.processes and process.pid not in ignore
    ]
    if len(now.descriptors) > len(before.descriptors):
        found += [text for key, text in now.descriptors.items() if key not in before.descriptors]
    return sorted(found)
