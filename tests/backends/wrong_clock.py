"""What gives a program a wrong clock (libfaketime): an offset, or one that changes as it runs."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.backends.scratch import new_directory

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


# libfaketime 0.9.10 answers EINVAL to whoever sleeps until a moment of a clock that it does not
# fake, as Python's `time.sleep` does.
_SLEEP = """
#include <cerrno>
#include <ctime>
#include <sys/syscall.h>
#include <unistd.h>
extern "C" int clock_nanosleep(clockid_t clock, int flags, const timespec *until, timespec *left)
{ return syscall(SYS_clock_nanosleep, clock, flags, until, left) == 0 ? 0 : errno; }
"""


def missing() -> str | None:
    """Return in words what this host lacks, or None."""
    if not _LIBRARIES:
        return "libfaketime not installed"
    return None if shutil.which("g++") else "g++ not installed"


@cache
def _sleep() -> str:
    """Return the path of a library in which sleeping works."""
    directory = new_directory("clock")
    source, library = directory / "sleep.cpp", directory / "sleep.so"
    source.write_text(_SLEEP)
    subprocess.run(["g++", "-shared", "-fPIC", "-o", library, source], check=True)
    return str(library)


def ahead(offset: str) -> dict[str, str]:
    """Return the environment of a program whose clock is off by `offset` ("+1h", "-30m")."""
    return {"FAKETIME": offset, **_environment()}


class SteppedClock:
    """A clock that is set while programs run by it; `file` is where its offset stands."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set("+0s")

    def set(self, offset: str) -> None:
        """Step the clock to this offset from the host's."""
        self._file.write_text(f"{offset}\n")

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a program that goes by this clock."""
        return {
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            **_environment(),
        }


def _environment() -> dict[str, str]:
    return {
        "LD_PRELOAD": f"{_sleep()} {_LIBRARIES[-1]}",
        # Waits are by the monotonic clock, which nothing sets.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",
        "NO_FAKE_STAT": "1",
    }
