"""Ending what carries a mark: the script in real shells, and what is made of its answers."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from app.core.errors import EngineError, EngineUnreachableError
from app.domain.sessions.marked import _SCRIPT, Marked, NotEndedError
from app.engine import ContainerSpec, HostProcess
from tests.backends.programs import wait_until
from tests.conftest import require
from tests.support.fakes import ENDED, IMAGE, Failure, FakeContainer, FakeEngine

SHELLS = {"dash": ["dash"], "bash": ["bash"], "busybox": ["busybox", "sh"]}
STUBBORN = "trap '' HUP TERM; while :; do sleep 1; done"
# What forks again and again, with and without the mark, its own children in sessions of their own.
FORKING = "trap '' HUP; while :; do (trap '' HUP; setsid env -i sleep 5) & sleep 0.02; done"
DETACHED = "trap '' HUP; setsid sleep 300 & setsid sh -c 'sleep 300' & wait"


class Crowd:
    """Processes of this host that carry a mark."""

    def __init__(self) -> None:
        self.id = str(uuid4())
        self.mark = f"VIBEBOX_TEST={self.id}"
        self.begun: list[subprocess.Popen[bytes]] = []

    def begin(self, script: str) -> None:
        env = {"VIBEBOX_TEST": self.id, "PATH": os.environ["PATH"]}
        # A run behind `nohup` ignores the signal, and no shell could trap it.
        command = ["env", "--default-signal=HUP", "sh", "-c", script]
        self.begun.append(subprocess.Popen(command, env=env, start_new_session=True))

    def marked(self) -> set[int]:
        """Return the processes that carry the mark, whoever started them."""
        found = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as environ:
                    if self.mark.encode() in environ.read():
                        found.add(int(pid))
            except OSError:
                continue
        return found

    def close(self) -> None:
        for pid in self.marked():
            os.kill(pid, 9)
        for process in self.begun:
            process.wait(10)


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    crowd = Crowd()
    yield crowd
    crowd.close()


@pytest.mark.parametrize("shell", SHELLS)
def test_script_ends_what_carries_the_mark_and_nothing_else(crowd: Crowd, shell: str) -> None:
    require(shell, None if shutil.which(SHELLS[shell][0]) else "this host has none")
    for script in (STUBBORN, FORKING, DETACHED, "sleep 300"):
        crowd.begin(script)
    other = subprocess.Popen(["sleep", "300"])
    wait_until(lambda: len(crowd.marked()) >= 8, 10)
    try:
        begun = time.monotonic()
        said = subprocess.run(
            [*SHELLS[shell], "-c", _SCRIPT, "sh", "30", "VIBEBOX_TEST=none", crowd.mark],
            capture_output=True,
            timeout=60,
            env={},  # it needs nothing that a container could take away
        )
        print(f"{shell}: {time.monotonic() - begun:.2f} s")
        assert (said.stdout, said.stderr) == (ENDED, b"")
        assert crowd.marked() == set()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_polite_signal_comes_first(crowd: Crowd, tmp_path: object) -> None:
    crowd.begin(f"trap 'echo bye >{tmp_path}/said; exit' HUP; while :; do sleep 0.05; done")
    time.sleep(0.2)
    subprocess.run(["sh", "-c", _SCRIPT, "sh", "100", crowd.mark], capture_output=True, timeout=60)
    with open(f"{tmp_path}/said") as said:
        assert said.read() == "bye\n"


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    spec = ContainerSpec("e", "box", IMAGE, {}, [], 1.0, 64, pids_limit=100)
    engine.containers["box"] = FakeContainer(spec, "running")
    return engine


def end(engine: FakeEngine, pids: tuple[int, ...] = ()) -> None:
    Marked(engine).end("box", ["A=1"], pids)


def test_what_has_ended_is_fine(engine: FakeEngine) -> None:
    end(engine)
    engine.containers["box"].status = "exited"
    end(engine)
    del engine.containers["box"]
    end(engine)


@pytest.mark.parametrize("says", [b"vibebox: left 3\n", b"noise\nvibebox: left 1\n"])
def test_what_is_left_has_not_ended(engine: FakeEngine, says: bytes) -> None:
    engine.endings.append(says)
    with pytest.raises(NotEndedError, match="go on"):
        end(engine)


@pytest.mark.parametrize(
    "noise", [b"", b"\xff\xfe", b"ended\n", b"vibebox: ended\nor not", b"vibebox: left 9999999999"]
)
def test_answer_that_means_nothing_is_asked_for_with_room_for_more(
    engine: FakeEngine, noise: bytes
) -> None:
    engine.host_processes = [HostProcess(pid, pid) for pid in range(100)]
    engine.endings = [noise, ENDED]
    end(engine)
    assert engine.limits == [164, 100], "for a moment"

    engine.endings = [noise, noise]
    with pytest.raises(NotEndedError, match="means anything"):
        end(engine)
    assert engine.limits == [164, 100] * 2


def test_room_is_bounded(engine: FakeEngine) -> None:
    """What takes each of them at once would be given more and more."""
    engine.host_processes = [HostProcess(pid, pid) for pid in range(5000)]
    engine.endings = [b"", ENDED]
    end(engine)
    assert engine.limits == [356, 100]


@pytest.mark.parametrize("failure", [Failure.TIMED_OUT, Failure.EXECUTABLE_MISSING])
def test_container_that_cannot_be_asked_is_not_believed(
    engine: FakeEngine, failure: Failure
) -> None:
    engine.failures["exec"] = failure
    with pytest.raises(NotEndedError):
        end(engine)


def test_frozen_container_has_not_ended_anything(engine: FakeEngine) -> None:
    engine.containers["box"].status = "paused"
    with pytest.raises(NotEndedError, match="frozen"):
        end(engine)


def test_docker_that_is_gone_says_nothing(engine: FakeEngine) -> None:
    engine.failures["*"] = Failure.UNREACHABLE
    with pytest.raises(EngineUnreachableError):
        end(engine)


@pytest.mark.parametrize("process", [HostProcess(7, 1), HostProcess(8, 7)], ids=["it", "its child"])
def test_host_is_asked_too(engine: FakeEngine, process: HostProcess) -> None:
    engine.host_processes = [HostProcess(1, 1), process]
    with pytest.raises(NotEndedError, match="host still sees"):
        end(engine, (7,))
    engine.host_processes.remove(process)
    end(engine, (7,))


def test_host_that_cannot_list_processes_leaves_the_word_of_the_container(
    engine: FakeEngine,
) -> None:
    engine.failures["processes"] = Failure.FAULTY
    end(engine, (7,))
    engine.failures["processes"] = Failure.UNREACHABLE
    with pytest.raises(EngineError):
        end(engine, (7,))
