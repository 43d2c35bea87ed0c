"""The children of a process, as the kernel lists them.

psutil reads every process of the machine to find out: twice a test, that was a tenth of what all
tests cost.
"""

import os
from contextlib import suppress
from pathlib import Path

import psutil


def children(pid: int) -> list[psutil.Process]:
    """Return the children of a process. Raises: psutil.NoSuchProcess."""
    found: list[psutil.Process] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError as error:
        raise psutil.NoSuchProcess(pid) from error
    for thread in threads:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            listed = Path(f"/proc/{pid}/task/{thread}/children").read_text()
            for child in map(int, listed.split()):
                with suppress(psutil.NoSuchProcess):
                    found.append(psutil.Process(child))
    return found


def descendants(pid: int) -> list[psutil.Process]:
    """Return children and theirs, parents first. Raises: psutil.NoSuchProcess."""
    found = children(pid)
    for process in found:  # grows meanwhile
        with suppress(psutil.NoSuchProcess):
            found += children(process.pid)
    return found
