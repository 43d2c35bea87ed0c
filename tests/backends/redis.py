"""A throw-away Redis."""

import shutil
import socket

from tests.backends.programs import Program, ServiceError, free_port
from tests.backends.scratch import new_directory, remove_directory

READY_TIMEOUT = 30.0


class Redis:
    """A server that keeps everything in memory.

    `suspend` makes it hang: connections are accepted by the kernel, nothing is answered. `stop`
    makes it refuse them, and forget. Both are undone by `heal`.
    """

    def __init__(self) -> None:
        self._directory = new_directory("redis")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._directory), "--save", "", "--appendonly", "no"]
        self._server = Program(command, self._directory / "log", cwd=self._directory)
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def installed() -> str | None:
        """Return in words what is missing to run Redis here, or None."""
        return None if shutil.which("redis-server") else "redis-server is not installed"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._server.pid

    def start(self) -> None:
        """Start the server and wait until it answers; harmless when it runs."""
        if not self._server.running:
            self._server.start()
            self._server.wait_ready(self.answers, READY_TIMEOUT)

    def answers(self) -> bool:
        """Tell whether the server answers a ping within a second."""
        try:
            return self._ask("PING") == "+PONG"
        except OSError:
            return False

    def clear(self) -> None:
        """Forget everything."""
        if self._ask("FLUSHALL") != "+OK":
            raise ServiceError("redis: not cleared")

    def _ask(self, command: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(64).decode().strip()

    def stop(self) -> None:
        """Stop the server; what it counted is lost."""
        self._server.stop()

    def suspend(self) -> None:
        """Freeze the server."""
        self._server.suspend()

    def resume(self) -> None:
        """Undo `suspend`; harmless when the server is not suspended."""
        self._server.resume()

    def heal(self) -> None:
        """Make the server run and answer again, whatever a test did to it."""
        self.resume()
        self.start()

    def close(self) -> None:
        """Stop the server and remove everything that belongs to it."""
        self._server.stop()
        remove_directory(self._directory)
