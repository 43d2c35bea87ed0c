"""`vibebox attach` in a real terminal (a pty), against real containers."""

import base64
import fcntl
import hashlib
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Self

import pytest

from app.cli.client.attachment import Typing, ending
from app.cli.client.errors import ClientError
from app.cli.client.raw_terminal import RawTerminal
from tests.backends.docker_engine import DockerEngine
from tests.backends.host_image import import_host_image, missing_programs
from tests.backends.programs import wait_until
from tests.backends.web import WebServer
from tests.cli.support import COMMAND, PASSWORD, PATIENCE, Person
from tests.conftest import require
from tests.end_to_end.api import Api
from tests.end_to_end.sockets import fill
from tests.sizes import size
from tests.web.websockets.support import Clock

end_to_end = [pytest.mark.end_to_end, pytest.mark.timeout(240)]
SOCKETS = 3
"""Of which one account gets two, and another one the last."""
# A session, and the terminal as what controls it: the kernel tells it of a new size.
SETSID = shutil.which("setsid") or "setsid"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, docker_engine: DockerEngine
) -> Iterator[WebServer]:
    require("tmux", missing_programs())
    env = {
        "DOCKER_HOST": docker_engine.host,
        "VIBEBOX_STOP_GRACE": "0",
        "VIBEBOX_WEBSOCKETS": str(SOCKETS),
    }
    directory = tmp_path_factory.mktemp("attach")
    with WebServer(directory, env, workers=1, threads=4) as server:
        yield server
    docker_engine.clear()


@pytest.fixture(scope="module")
def image(docker_engine: DockerEngine) -> str:
    with docker_engine.client() as client:
        return import_host_image(client)


class Ada(Person):
    """Somebody who is logged in, with an environment that runs."""

    def begin(self, image: str) -> Self:
        self.email = f"{uuid.uuid4().hex[:12]}@example.org"
        self.login(self.email, "--register")
        self.good("create", "one", "--image", image, "--start")
        return self


@pytest.fixture
def ada(person: Callable[..., Person], server: WebServer, image: str) -> Iterator[Ada]:
    ada = Ada(person().home, server.url).begin(image)
    yield ada
    ada.good("rm", "one", "--yes")
    wait_until(lambda: server.metric("vibebox_websocket_connections") == 0, PATIENCE)


class Terminal:
    """A terminal of 24 rows and 80 columns in which a command runs."""

    def __init__(self, ada: Person, *arguments: str) -> None:
        self.text = ""
        self.master, self.slave = pty.openpty()
        self.resize(80, 24)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [SETSID, "--ctty", *COMMAND, "attach", "one", *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env={**ada.env, "TERM": "xterm-256color"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.process.kill()
        self.process.wait()
        for end in (self.master, self.slave):
            if end >= 0:
                os.close(end)

    def resize(self, cols: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def read(self, seconds: float) -> None:
        if select.select([self.master], [], [], seconds)[0]:
            self.text += os.read(self.master, 65536).decode(errors="replace")

    def wait(self, text: str) -> None:
        def seen() -> bool:
            self.read(0.2)
            return text in self.text

        wait_until(seen, PATIENCE, otherwise=lambda: f"{text!r} is not in {self.text!r}")

    def do(self, command: str, answer: str) -> None:
        self.type(f"{command}\n")
        self.wait(answer)

    def paste(self, data: bytes) -> None:
        """Put in a text as fast as it is taken."""
        os.set_blocking(self.master, False)
        ends_at = time.monotonic() + 2 * PATIENCE
        while data:
            assert time.monotonic() < ends_at, self.text[-1000:]
            readable, writable, _ = select.select([self.master], [self.master], [], 1)
            if readable:
                self.read(0)
            if writable:
                data = data[os.write(self.master, data[:4096]) :]
        os.set_blocking(self.master, True)

    def ended(self) -> int:
        """Wait for the end, see that the terminal is as it was, and return the exit code."""
        ends_at = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            self.read(0.05)
            assert time.monotonic() < ends_at, self.text
        self.read(0)
        assert termios.tcgetattr(self.slave) == self.before
        assert "Traceback" not in self.text
        return self.process.returncode


class TestAttach:
    pytestmark = end_to_end

    def test_shell(self, ada: Ada) -> None:
        with Terminal(ada) as terminal:
            terminal.do("stty size; echo $((6 * 7))x", "42x")
            terminal.wait("24 80")
            terminal.resize(132, 43)
            terminal.do("sleep 0.5; stty size", "43 132")
            terminal.do("trap 'echo int$((1 + 1))' INT; echo set-$((1 + 1))", "set-2")
            terminal.type("\x03")
            terminal.wait("int2")
            terminal.type("exit 7\n")
            assert terminal.ended() == 7

    @pytest.mark.full
    def test_tmux_stays_when_one_leaves(self, ada: Ada, server: WebServer) -> None:
        with Terminal(ada, "--type", "tmux") as terminal:
            terminal.do("echo kept-$((40 + 2))", "kept-42")
            terminal.type("\x1d")
            assert terminal.ended() == 0
            assert "leads back" in terminal.text
            assert "\x1b[?1049l" in terminal.text, "the screen of before is shown again"
        with Api(server.url) as api:
            api.login(ada.email, PASSWORD)
            environment = api.call("GET", "/environments").json()["items"][0]["id"]
            (session,) = api.call("GET", f"/environments/{environment}/sessions").json()["items"]
        # An account may have few here, and the one that left is one until it is counted out.
        wait_until(lambda: server.metric("vibebox_websocket_connections") == 0, PATIENCE)
        named = ("--session", session["id"][:6], "--detach-key", "ctrl-o")
        with Terminal(ada, *named) as terminal:
            terminal.wait("kept-42")
            with Terminal(ada, "--type", "tmux") as second:
                second.wait("kept-42")
                second.type("\x02d")  # by tmux's own key
                assert second.ended() == 0
                assert "Detached." in second.text
            terminal.type("\x0f")
            assert terminal.ended() == 0

    def test_tmux_is_come_back_to(self, ada: Ada, server: WebServer) -> None:
        with Terminal(ada, "--type", "tmux") as terminal, Terminal(ada) as shell:
            terminal.do("echo kept-$((40 + 2))", "kept-42")
            shell.do("echo $((6 * 7))x", "42x")
            for number in (signal.SIGHUP, signal.SIGKILL):
                workers = server.worker_pids()
                terminal.text = ""
                if number == signal.SIGHUP:
                    server.signal(number)
                else:
                    for pid in workers:
                        os.kill(pid, number)
                terminal.wait("[vibebox] The connection is lost; connecting again.")
                terminal.wait("kept-42")
                terminal.do(f"echo again-$((1 + {number}))", f"again-{1 + number}")
                if number == signal.SIGHUP:
                    assert shell.ended() == 2
                    assert "The shell ended with its terminal." in shell.text
            terminal.type("\x1d")
            assert terminal.ended() == 0

    def test_paste_arrives_whole(self, ada: Ada, docker_engine: DockerEngine) -> None:
        data = base64.encodebytes(os.urandom(size(400_000, 7_400_000)))
        data = data[:100_000] + b"\x1d" + data[100_000:]  # no key, in the middle of a paste
        digest = hashlib.sha256(data).hexdigest()
        with Terminal(ada) as terminal:
            terminal.do(f"stty raw -echo; echo re''ady; head -c {len(data)} | sha256sum", "ready")
            terminal.paste(data)
            terminal.wait(digest)
            time.sleep(0.2)
            terminal.type("\x1d")
            assert terminal.ended() == 0

    @pytest.mark.parametrize(
        "number", size([signal.SIGHUP], [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
    )
    def test_terminal_is_restored_whatever_ends_it(self, ada: Ada, number: int) -> None:
        with Terminal(ada) as terminal:
            modes = "printf '\\e[?1049h\\e[?25l\\e[?1000;1006h'; echo full-$((1 + 1))"
            terminal.do(modes, "full-2")
            terminal.process.send_signal(number)
            assert terminal.ended() == 128 + number
            said = terminal.text[terminal.text.index("full-2") :]
            for undone in ("?1049l", "?25h", "?1000l", "?1006l"):
                assert f"\x1b[{undone}" in said

    def test_window_that_closes_ends_it(self, ada: Ada) -> None:
        with Terminal(ada) as terminal:
            terminal.do("echo $((6 * 7))x", "42x")
            for end in (terminal.slave, terminal.master):
                os.close(end)
            terminal.master = terminal.slave = -1
            assert terminal.process.wait(PATIENCE) in (0, 128 + signal.SIGHUP)

    def test_what_stands_in_the_way_is_said(self, ada: Ada, server: WebServer) -> None:
        assert "A terminal is needed" in ada.refused(1, "attach", "one")
        with Terminal(ada, "--session", "none") as terminal:
            assert terminal.ended() == 1
            assert "There is no session 'none' in one." in terminal.text
        with Terminal(ada, "--session", "none", "--type", "tmux") as terminal:
            assert terminal.ended() == 2
            assert "not both" in terminal.text
        with Api(server.url) as api, Api(server.url) as other, ExitStack() as stack:
            api.login(ada.email, PASSWORD)
            fill(api, "/environments/status/stream", SOCKETS - 1, stack)
            with Terminal(ada) as terminal:
                assert terminal.ended() == 1
                assert "Your account has 2 WebSockets open" in terminal.text
            other.register("eve@example.org")
            other.login("eve@example.org")
            fill(other, "/environments/status/stream", 1, stack)
            with Terminal(ada) as terminal:
                assert terminal.ended() == 1
                assert "Too many open WebSockets." in terminal.text
                assert "Close a terminal" in terminal.text
        ada.good("stop", "one")
        with Terminal(ada) as terminal:
            assert terminal.ended() == 1
            assert "sessions need it to be running" in terminal.text


class Ended:
    """A WebSocket that the service has closed."""

    def __init__(self, code: int | None, reason: str) -> None:
        self.close_code = code
        self.close_reason = reason


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [(1000, "exit code 0", (0, "")), (1000, "exit code 3", (3, "")), (1000, "left", (0, "left"))],
)
def test_session_that_ended(code: int, reason: str, told: tuple[int, str]) -> None:
    socket: Any = Ended(code, reason)
    assert ending(socket) == told


@pytest.mark.parametrize(
    ("code", "reason", "exit_code", "text"),
    [
        (1001, "", 2, "going away"),
        (1008, "Environment not found", 1, "Environment not found"),
        (4401, "The login was ended.", 1, "The login was ended"),
        (1013, "later", 2, "later"),
        (None, "", 2, "lost"),
        (1011, "", 2, "1011"),
    ],
)
def test_terminal_that_was_cut_off(
    code: int | None, reason: str, exit_code: int, text: str
) -> None:
    socket: Any = Ended(code, reason)
    with pytest.raises(ClientError, match=text) as caught:
        ending(socket)
    assert caught.value.exit_code == exit_code and caught.value.step


def test_key_that_leaves_is_told_from_a_paste() -> None:
    clock = Clock()
    typing = Typing(b"\x1d", clock)
    assert typing.split(b"ls\x1d") == (b"ls", True)
    for paste in (b"x" * 100 + b"\x1d", b"\x1b[200~a\x1db\x1b[201~", b"\x1b[200~a\x1d"):
        clock.jump(1)
        assert typing.split(paste) == (paste, False)
    clock.jump(1)
    assert typing.split(b"still\x1d") == (b"still\x1d", False), "its end was not seen"
    assert typing.split(b"\x1b[201~") == (b"\x1b[201~", False)
    clock.jump(1)
    assert typing.split(b"\x1d") == (b"", True)
    big = b"y" * 4096
    assert typing.split(big) == (big, False)
    assert typing.split(b"y\x1d") == (b"y\x1d", False), "the rest of it"
    clock.jump(1)
    assert typing.split(b"\x1d") == (b"", True)


def test_modes_are_taken_back_however_they_come() -> None:
    master, slave = pty.openpty()
    try:
        with RawTerminal(slave, slave) as terminal:
            for piece in (b"\x1b[?10", b"49h\x1b[?2004h", b"\x1b[?2004l\x1b[?25l\x1b[?12h"):
                terminal.write(piece)
        said = b""
        while not said.endswith(b"\x1b[0m"):
            assert select.select([master], [], [], PATIENCE)[0], said
            said += os.read(master, 65536)
        assert said.endswith(b"\x1b[?12h\x1b[?1049l\x1b[?25h\x1b[0m")
    finally:
        os.close(master)
        os.close(slave)
