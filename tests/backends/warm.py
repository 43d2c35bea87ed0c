"""Starts Python programs from a process that has loaded most of their code already.

A start of the service or of its agent takes more than a second of CPU time, nearly all of it for
imports, and a run of the tests has some hundreds of them. So what a test starts as `python -m …`
forks from a process that has imported libraries and those of our rooms that are the same in every
process, and goes on as the interpreter would: with a command line, environment, directory and log
of its own. Without this start the tests of the README's uses, of the wheel, of the tour and of
upgrades.

`python -m tests.backends.warm FD` is that process: it obeys the test process at the socket FD.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import resource
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

LIBRARIES = (
    "alembic.command",
    "argon2",
    "click",
    "cryptography.fernet",
    "docker",
    "flask",
    "flask_limiter",
    "flask_openapi3",
    "itsdangerous",
    "psycopg2.extras",
    "pydantic",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.orm",
    "websockets.sync.server",
)
ROOMS = ("app.cli", "app.core", "app.domain", "app.engine", "app.storage", "app.web.api")
"""What takes long, and does not look at the process that imports it.

The metrics client joins a directory when it is imported; gunicorn takes the current directory for
that of the application.
"""

_OF_THE_INTERPRETER = ("PYTHON", "LD_", "COVERAGE_")
_ROOT = Path(__file__).parents[2]
_LARGEST_MESSAGE = 128 * 1024
_PR_SET_PDEATHSIG = 1


def fits(command: Sequence[str], env: Mapping[str, str], cwd: Path = _ROOT) -> bool:
    """Tell whether a start from here, in the directory `cwd`, is the same as of the interpreter."""
    if list(command[:2]) != [sys.executable, "-m"]:
        return False
    if cwd != _ROOT and (cwd / "app").exists():  # another release
        return False
    return not any(name.startswith(_OF_THE_INTERPRETER) for name in env)


def modules(room: str) -> Iterator[str]:
    """Return the names of all modules of a room of ours; migrations are Alembic's to import."""
    folder = _ROOT.joinpath(*room.split("."))
    for file in sorted(folder.rglob("*.py")):
        if "migrations" not in file.parts and file.stem != "__main__":
            yield ".".join(file.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")


class Child:
    """A program that was started; with those methods of `subprocess.Popen` that are needed."""

    def __init__(self, starter: "_Starter", pid: int) -> None:
        self._starter = starter
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the program runs."""
        if self.returncode is None:
            self.returncode = self._starter.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raises: subprocess.TimeoutExpired."""
        ends_at = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (code := self.poll()) is None:
            if time.monotonic() > ends_at:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(0.02)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the program has ended: until then its pid is nobody else's."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End the program without warning."""
        self.send_signal(signal.SIGKILL)


class _Starter:
    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", *command],
                pass_fds=[theirs.fileno()],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def ask(self, question: Mapping[str, object], descriptors: Sequence[int] = ()) -> Any:
        with self._lock:
            socket.send_fds(self._control, [json.dumps(question).encode()], descriptors)
            answer = self._control.recv(_LARGEST_MESSAGE)
        if not answer:
            raise RuntimeError("the process that starts programs has ended")
        return json.loads(answer)

    def close(self) -> None:
        self._control.close()
        self.process.wait()


@cache
def _starter() -> _Starter:
    starter = _Starter()
    atexit.register(starter.close)
    return starter


def pid() -> int | None:
    """Return the process whose children the programs are; None before the first start."""
    return _starter().process.pid if _starter.cache_info().currsize else None


def prepare() -> None:
    """Have the process that starts programs, which lives as long as this one."""
    _starter()


def start(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    streams: tuple[int, int, int],
    stop_signal: int,
) -> Child:
    """Start `python -m …` in a session of its own.

    streams: descriptors for its standard input, output and errors. It gets `stop_signal` when the
    test process dies.
    """
    asked = {
        "argv": list(command),
        "env": dict(env),
        "cwd": str(cwd),
        "signal": stop_signal,
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE),  # inherited, like the rest
    }
    return Child(_starter(), _starter().ask(asked, streams))


def _main() -> None:
    """Obey until the test process is gone; in a child, become the program."""
    control = socket.socket(fileno=int(sys.argv[1]))
    gc.disable()
    for name in (*LIBRARIES, *chain.from_iterable(map(modules, ROOMS))):
        importlib.import_module(name)
    gc.freeze()
    while message := socket.recv_fds(control, _LARGEST_MESSAGE, 3):
        text, descriptors, *_ = message
        if not text:
            return
        asked = json.loads(text)
        if "poll" in asked:
            control.send(json.dumps(_poll(asked["poll"])).encode())
            continue
        if (child := os.fork()) == 0:
            control.close()
            _become(asked, descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(json.dumps(child).encode())


def _poll(child: int) -> int | None:
    ended, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _become(asked: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Be what the interpreter would have made of the command."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(asked["signal"]))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    os.chdir(asked["cwd"])
    resource.setrlimit(resource.RLIMIT_NOFILE, asked["descriptors"])
    sys.path[0] = asked["cwd"]
    sys.orig_argv[:] = asked["argv"]
    _, _, module, *arguments = asked["argv"]
    sys.argv[:] = [module, *arguments]
    gc.enable()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
