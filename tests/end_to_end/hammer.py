"""Clients in a closed loop that go on through the deaths of workers, in a process of their own.

Run as a program it reads a line of JSON, {"port", "paths", "clients", "requests"}, and writes one
each second, and a last one when so many requests are answered: {"answered", "lost", "p99"}; lost
are those whose connection ended without an answer, p99 is of the second, in seconds.
"""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from tests.backends.web import ROOT

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")
_AGAIN_SECONDS = 0.02


class Hammer:
    """The process, as a context; `told` is what it wrote last."""

    def __init__(self, port: int, paths: Sequence[str], clients: int, requests: int) -> None:
        order = {"port": port, "paths": list(paths), "clients": clients, "requests": requests}
        self.told: dict[str, Any] = {"answered": 0, "lost": 0, "p99": 0.0}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.hammer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        stream = self._process.stdin
        assert stream is not None
        stream.write(json.dumps(order) + "\n")
        stream.close()

    def seconds(self) -> Iterator[dict[str, Any]]:
        """Yield what it writes, until all requests are answered."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.told = json.loads(line)
            yield self.told

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class _Load:
    def __init__(self, port: int, paths: Sequence[str], requests: int) -> None:
        self._port = port
        self._asked = [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for path in paths]
        self._requests = requests
        self.answered = self.lost = 0
        self.times: list[float] = []

    @property
    def is_over(self) -> bool:
        return self.answered >= self._requests

    async def client(self) -> None:
        while not self.is_over:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._connected()
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _connected(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while not self.is_over:
                begun = time.perf_counter()
                writer.write(self._asked[self.answered % len(self._asked)])
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = _LENGTH.search(head)
                    assert length is not None, head
                    await reader.readexactly(int(length[1]))
                except (OSError, asyncio.IncompleteReadError):
                    self.lost += 1
                    raise
                self.answered += 1
                self.times.append(time.perf_counter() - begun)
                if b"\r\nConnection: close" in head:
                    return
        finally:
            writer.close()

    def tell(self) -> None:
        times, self.times = sorted(self.times), []
        p99 = times[len(times) * 99 // 100] if times else 0.0
        print(json.dumps({"answered": self.answered, "lost": self.lost, "p99": p99}), flush=True)


async def _run(port: int, paths: Sequence[str], clients: int, requests: int) -> None:
    load = _Load(port, paths, requests)
    running = [asyncio.create_task(load.client()) for _ in range(clients)]
    while not load.is_over:
        await asyncio.wait(running, timeout=1)
        load.tell()
    await asyncio.gather(*running)
    load.tell()


if __name__ == "__main__":
    asyncio.run(_run(**json.loads(sys.stdin.readline())))
