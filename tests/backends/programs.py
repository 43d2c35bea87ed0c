"""Run, freeze and end programs. Knows nothing of any one service.

A program gets a session of its own, writes to a log file instead of a pipe (nobody has to drain it,
and the test process holds no descriptor for it), and is sent a signal by the kernel when the test
process dies, so that even a killed test run leaves little behind (see `scratch` for the rest).
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from tests.backends import warm as warmth
from tests.backends.children import descendants

STOP_TIMEOUT = 20.0
# Below the kernel's range for outgoing connections (from 32768), so that a port found free here is
# not taken by somebody's connection a moment later. pytest-randomly reseeds `random` for each test:
# an own generator keeps two test runs with the same seed from choosing the same ports.
PORTS = range(20000, 32000)
OWNER_VARIABLE = "TEST_PROCESS"
"""In the environment of every program: which test process it belongs to (see `scratch.sweep`)."""
_CHOICE = random.SystemRandom()


class ServiceError(Exception):
    """A service of the tests did not do what it was told; the message ends with its log."""


def identity(pid: int | None = None) -> str:
    """Return what tells a process (this one, by default) from all others, past and future.

    Its start is counted in ticks since boot: psutil's time of day moves when the clock is set, and
    another test run would take a living one for dead.
    """
    stat = Path(f"/proc/{pid or os.getpid()}/stat").read_text()
    # Behind the name, which may hold spaces and brackets, comes field 3; the start is field 22.
    return f"{pid or os.getpid()}:{stat.rpartition(')')[2].split()[19]}"


def identifies_living(identity_text: str) -> bool:
    """Tell whether the process with this identity still runs."""
    try:
        return identity(int(identity_text.partition(":")[0])) == identity_text
    except (FileNotFoundError, ProcessLookupError):
        return False


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which nobody listens."""
    for _ in range(200):
        port = _CHOICE.choice(PORTS)
        with socket.socket() as probe:
            # As servers do: without it a port with connections in TIME_WAIT looks taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServiceError("no free port found on 127.0.0.1")


_LONGEST_PAUSE = 0.5
"""Seconds between two looks, however long a look takes."""


def wait_until(
    condition: Callable[[], bool],
    timeout: float,
    interval: float = 0.02,
    otherwise: Callable[[], str] | None = None,
) -> None:
    """Poll until `condition` holds; raise ServiceError with the text of `otherwise` if not.

    Asked at least so seldom that what is waited for has most of the machine to itself.
    """
    deadline = time.monotonic() + timeout
    while True:
        begun = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        if now > deadline:
            raise ServiceError(otherwise() if otherwise else f"still waiting after {timeout:g} s")
        time.sleep(max(interval, min(2 * (now - begun), _LONGEST_PAUSE)))


def family(pid: int) -> list[psutil.Process]:
    """Return the process and all its descendants, parents first; empty when it is gone."""
    try:
        return [psutil.Process(pid), *descendants(pid)]
    except psutil.NoSuchProcess:
        return []


def session(pid: int) -> list[psutil.Process]:
    """Return the processes of the session that the process with this id has begun."""
    found = []
    for other in psutil.pids():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(other) == pid:
                found.append(psutil.Process(other))
    return found


def alive(process: psutil.Process) -> bool:
    """Tell whether the process runs. A zombie does not: it only waits for its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def mentioning(text: str) -> list[psutil.Process]:
    """Return the processes, other than this one, with `text` in their command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and text in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def abandoned() -> set[psutil.Process]:
    """Return the programs whose test process is dead, with their descendants.

    Containers are among the descendants (of containerd's shims): they have their own environment.
    """
    found: set[psutil.Process] = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            owner = process.environ().get(OWNER_VARIABLE)
            if owner and not identifies_living(owner):
                found.update(family(process.pid))
    return found


def send(processes: Iterable[psutil.Process], number: int) -> None:
    """Send a signal to each process that is still there."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def kill(processes: Collection[psutil.Process], timeout: float = STOP_TIMEOUT) -> None:
    """End the processes without asking, and wait until they are gone."""
    send(processes, signal.SIGKILL)
    wait_until(
        lambda: not any(alive(process) for process in processes),
        timeout,
        otherwise=lambda: f"processes survive SIGKILL: {[process.pid for process in processes]}",
    )


def tail(path: Path, lines: int = 30) -> str:
    """Return the last lines of a file, or a remark that there are none."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        text = ""
    return "\n".join(text.splitlines()[-lines:]) or "(empty log)"


def as_user(name: str) -> list[str]:
    """Return what to put before a command for root to run it as another user."""
    return ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups"]


def _stands_still(process: psutil.Process) -> bool:
    """Tell whether no thread of the process runs any more."""
    states = []
    for thread in Path(f"/proc/{process.pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            states.append(thread.read_text().rpartition(")")[2].split()[0])
    return all(state in "TtZX" for state in states)


class Program:
    """A program under the control of a test.

    `warm` says that a Python program may start from loaded libraries (see `warm`).
    `user` is whom to run as when the tests run as root. `freeze_family` says whether `suspend`
    stops the descendants as well; leave them running where a hang of the main process alone is the
    fault to act out.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        name: str | None = None,
        user: str | None = None,
        stop_signal: int = signal.SIGTERM,
        freeze_family: bool = True,
        warm: bool = False,
    ) -> None:
        self.command = list(command)
        self.log = log
        self._name = name or Path(command[0]).name
        self._user = user if os.geteuid() == 0 else None
        self._env = {**(os.environ if env is None else env), OWNER_VARIABLE: identity()}
        self._cwd = cwd
        self._stop_signal = stop_signal
        self._freeze_family = freeze_family
        self._warm = warm and warmth.fits(self.command, self._env, cwd or Path.cwd())
        self._process: subprocess.Popen[bytes] | warmth.Child | None = None
        self._frozen: list[psutil.Process] = []

    @property
    def pid(self) -> int:
        """Process id of the program; ServiceError when it was never started."""
        return self._started().pid

    def _started(self) -> subprocess.Popen[bytes] | warmth.Child:
        if self._process is None:
            raise ServiceError(f"{self._name} was not started")
        return self._process

    @property
    def running(self) -> bool:
        """Whether the program was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit code of the ended program, negative for the signal that ended it."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the program. Its output is appended to the log."""
        with self.log.open("ab") as output:
            start = self._start_warm if self._warm else self._start_cold
            self._process = start(output.fileno())

    def _start_warm(self, output: int) -> warmth.Child:
        with open(os.devnull, "rb") as nothing:
            return warmth.start(
                self.command,
                env=self._env,
                cwd=self._cwd or Path.cwd(),
                streams=(nothing.fileno(), output, output),
                stop_signal=self._stop_signal,
            )

    def _start_cold(self, output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._prefix(), *self.command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=self._env,
            cwd=self._cwd,
            start_new_session=True,
        )

    def _prefix(self) -> list[str]:
        """Have the kernel stop the program when the test process dies.

        The kernel watches the thread that started the program, so only the main thread may ask.
        It forgets the wish when the user changes: both must be done by one setpriv.
        """
        options = as_user(self._user)[1:] if self._user else []
        if threading.current_thread() is threading.main_thread():
            name = signal.Signals(self._stop_signal).name.removeprefix("SIG")
            options.append(f"--pdeathsig={name}")
        return ["setpriv", *options] if options else []

    def wait_ready(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until `ready`; raise ServiceError at once when the program ends instead."""

        def settled() -> bool:
            return not self.running or ready()

        wait_until(
            settled, timeout, otherwise=lambda: self._report(f"not ready after {timeout:g} s")
        )
        if not self.running:
            raise ServiceError(self._report(f"ended with exit code {self.returncode}"))

    def _report(self, problem: str) -> str:
        return f"{self._name}: {problem}; its log ends:\n{tail(self.log)}"

    def suspend(self) -> None:
        """Freeze the program: it keeps its sockets open and answers nothing."""
        if self._freeze_family:
            self._freeze_all()
        else:
            self._freeze(psutil.Process(self.pid))
        # On a busy machine a thread may still answer a moment after the signal.
        wait_until(lambda: all(map(_stands_still, self._frozen)), STOP_TIMEOUT)

    def _freeze_all(self) -> None:
        """Freeze until no unfrozen descendant is left: a parent may fork until it is stopped."""
        while fresh := [found for found in family(self.pid) if found not in self._frozen]:
            for process in fresh:
                self._freeze(process)

    def _freeze(self, process: psutil.Process) -> None:
        self._frozen.append(process)
        send([process], signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `suspend`; harmless when the program is not suspended."""
        send(self._frozen, signal.SIGCONT)
        self._frozen.clear()

    def stop(self, timeout: float = STOP_TIMEOUT) -> int | None:
        """Ask the program to end, insist after `timeout`, and return its exit code."""
        self.resume()
        return self._end(self._stop_signal, timeout)

    def wait(self, timeout: float) -> int:
        """Wait until the program ends of its own accord and return its exit code."""
        wait_until(
            lambda: not self.running,
            timeout,
            otherwise=lambda: self._report(f"still running after {timeout:g} s"),
        )
        return self.returncode or 0

    def kill(self) -> int | None:
        """End the program and its descendants at once and return its exit code."""
        self._frozen.clear()
        return self._end(signal.SIGKILL, STOP_TIMEOUT)

    def _end(self, number: int, timeout: float) -> int | None:
        if self._process is None:
            return None
        # Listed first: descendants of a dead process can no longer be found from it. Those whose
        # parent has died before (workers of a killed master) are still in its session.
        members = {*family(self.pid), *session(self.pid)}
        if self.running:
            self._process.send_signal(number)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        kill(members)
        return self._process.returncode
