"""The gateway's terminals, in real containers."""

import hashlib
import os
import select
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from app.core.errors import (
    ContainerNotFoundError,
    EngineConflictError,
    EngineTimeoutError,
    ExecutableMissingError,
)
from app.engine import DockerEngine, TerminalStream
from tests.backends.docker_engine import DockerEngine as RealEngine
from tests.sizes import size

pytestmark = pytest.mark.integration
COLS, ROWS = 90, 30


def read_until(terminal: TerminalStream, text: bytes) -> bytes:
    """Read until the text has come, or everything has."""
    seen = b""
    ends_at = time.monotonic() + 20
    while text not in seen:
        data = terminal.read()
        if data == b"":
            return seen
        seen += data or b""
        if data is None:
            assert time.monotonic() < ends_at, seen
            select.select([terminal], [], [], 1)
    return seen


@contextmanager
def shell(gateway: DockerEngine, container: str) -> Iterator[TerminalStream]:
    with closing(
        gateway.terminal(container, ["sh"], cols=COLS, rows=ROWS, env={"HELLO": "a b"})
    ) as terminal:
        yield terminal


def test_terminal_carries_bytes_both_ways(gateway: DockerEngine, running: str) -> None:
    with shell(gateway, running) as terminal:
        typed = b'stty size; echo "<$HELLO>" $((6 * 7))x\n'
        assert terminal.write(typed) == len(typed)
        seen = read_until(terminal, b"42x")
        assert b"30 90" in seen and b"<a b>" in seen

        gateway.resize_terminal(terminal.exec_id, cols=120, rows=50)
        terminal.write(b"stty size\n")
        read_until(terminal, b"50 120")
        assert gateway.inspect_exec(terminal.exec_id).running
        assert gateway.inspect_exec(terminal.exec_id).exit_code is None

        terminal.write(b"exit 3\n")
        read_until(terminal, b"never said")
        assert terminal.read() == b"", "the end stays the end"
        ends_at = time.monotonic() + 10
        while gateway.inspect_exec(terminal.exec_id).running and time.monotonic() < ends_at:
            time.sleep(0.05)
        state = gateway.inspect_exec(terminal.exec_id)
        assert (state.running, state.exit_code) == (False, 3)


def test_all_output_arrives(gateway: DockerEngine, running: str) -> None:
    with closing(
        gateway.terminal(running, ["seq", "1", "20000"], cols=COLS, rows=ROWS)
    ) as terminal:
        lines = read_until(terminal, b"never said").split()

    assert lines == [str(number).encode() for number in range(1, 20001)]


def test_all_input_arrives(gateway: DockerEngine, running: str) -> None:
    """Every byte, among them the keys at which Docker's own client leaves."""
    data = b"\x10\x11" + os.urandom(size(300_000, 10 * 1024 * 1024)) + b"\x10\x11."
    script = f"stty raw -echo; echo ready; head -c {len(data)} | sha256sum"
    with closing(gateway.terminal(running, ["sh", "-c", script], cols=COLS, rows=ROWS)) as terminal:
        read_until(terminal, b"ready")
        taken = 0
        while taken < len(data):
            taken += terminal.write(data[taken : taken + 65536])
            select.select([], [terminal], [], 5)
        assert hashlib.sha256(data).hexdigest().encode() in read_until(terminal, b"-")


def test_no_key_is_held_back(gateway: DockerEngine, running: str) -> None:
    script = "stty raw -echo; echo ready; while true; do head -c 1 | od -An -tx1; done"
    with closing(gateway.terminal(running, ["sh", "-c", script], cols=COLS, rows=ROWS)) as terminal:
        read_until(terminal, b"ready")
        for key in (b"\x10", b"\x11", b"\x1d"):
            terminal.write(key)
            read_until(terminal, key.hex().encode())


def test_first_words_are_not_lost(gateway: DockerEngine, running: str) -> None:
    for _ in range(5):
        with closing(
            gateway.terminal(running, ["echo", "hello"], cols=COLS, rows=ROWS)
        ) as terminal:
            assert read_until(terminal, b"never said").strip() == b"hello"


def test_closing_ends_the_connection_and_not_the_command(
    gateway: DockerEngine, running: str
) -> None:
    with shell(gateway, running) as terminal:
        read_until(terminal, b"#")
        # Docker takes a command for ended whose last words meet a connection that is closed.
        time.sleep(0.2)
        terminal.read()
    time.sleep(0.2)

    assert gateway.inspect_exec(terminal.exec_id).running


def test_missing_command(gateway: DockerEngine, running: str) -> None:
    with pytest.raises(ExecutableMissingError, match="no command 'nonesuch'"):
        gateway.terminal(running, ["nonesuch"], cols=COLS, rows=ROWS)


def test_exit_code_of_a_missing_command_alone_is_none(gateway: DockerEngine, running: str) -> None:
    argv = ["sh", "-c", "echo not here; exit 127"]
    with closing(gateway.terminal(running, argv, cols=COLS, rows=ROWS)) as terminal:
        assert read_until(terminal, b"never said").strip() == b"not here"


def test_container_that_does_not_run(gateway: DockerEngine, running: str) -> None:
    gateway.stop(running, 0)
    with pytest.raises(EngineConflictError):
        gateway.terminal(running, ["sh"], cols=COLS, rows=ROWS)
    with pytest.raises(ContainerNotFoundError):
        gateway.terminal("nonesuch", ["sh"], cols=COLS, rows=ROWS)
    with pytest.raises(ContainerNotFoundError):
        gateway.inspect_exec("0" * 64)


def test_hung_engine_is_given_up(
    docker_engine: RealEngine, gateway: DockerEngine, running: str
) -> None:
    brief = DockerEngine(docker_engine.host, query_timeout=1)
    with closing(brief):
        brief.ping()
        docker_engine.suspend()
        with pytest.raises(EngineTimeoutError):
            brief.terminal(running, ["sh"], cols=COLS, rows=ROWS)
