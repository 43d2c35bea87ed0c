"""Many people at terminals at once, in a process of their own: what they do must not slow the test.

Run as a program it obeys its standard input, a line for each order, and answers each with a line of
JSON. The first line says who they are: {"url", "bearer", "sessions", "number"}. The orders:

    open           one terminal for each of `number`, tried again where there is no slot, in which
                   something is typed
    look           the same without typing: all may look at one terminal
    echo SECONDS   each types a command once a second and waits for what it prints
    ended          wait until the service has closed every terminal
    close          hang up
"""

import asyncio
import itertools
import json
import random
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.backends.web import ROOT

PATIENCE = 150.0
AT_ONCE = 8
"""How many come in the same moment: each costs the engine a process."""
_PAUSE = 0.2
_ANSWER = re.compile(rb"<(\d+)>")


class Crowd:
    """The crowd as a test sees it: give orders, get what happened."""

    def __init__(self, url: str, bearer: str, sessions: list[str], number: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.crowd"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=ROOT,
        )
        self.begin({"url": url, "bearer": bearer, "sessions": sessions, "number": number})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self, order: Any) -> None:
        """Give an order without waiting for its end."""
        assert self._process.stdin is not None
        print(order if isinstance(order, str) else json.dumps(order), file=self._process.stdin)

    def end(self) -> dict[str, Any]:
        """Wait for the end of the order, and return what happened."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the crowd has died"
        found: dict[str, Any] = json.loads(line)
        return found

    def do(self, order: str) -> dict[str, Any]:
        """Give an order and return what happened."""
        self.begin(order)
        return self.end()


class _Person:
    """Somebody at a terminal."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seconds: list[float] = []
        self.code = 0
        self.ended_at = 0.0
        self.shown = asyncio.Event()
        self._answers: asyncio.Queue[int] = asyncio.Queue()
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        screen = b""
        try:
            async for message in self.socket:
                assert isinstance(message, bytes)
                self.shown.set()
                screen = (screen + message)[-4096:]
                for found in _ANSWER.finditer(screen):
                    self._answers.put_nowait(int(found[1]))
                screen = screen[screen.rfind(b">") + 1 :]
        except ConnectionClosed:
            pass
        self.code = self.socket.close_code or 0
        self.ended_at = time.monotonic()

    async def ask(self, number: int) -> None:
        """Type a command and wait for what it prints, which is not what was typed."""
        begun = time.monotonic()
        await self.socket.send(f"echo '<'$(({number} * 7))'>'\n".encode())
        while await asyncio.wait_for(self._answers.get(), PATIENCE) != number * 7:
            pass
        self.seconds.append(time.monotonic() - begun)

    async def work(self, seconds: float) -> None:
        """Ask once a second, beginning anywhere in it."""
        ends_at = time.monotonic() + seconds
        await asyncio.sleep(random.random())
        for number in itertools.count(1):
            next_at = time.monotonic() + 1.0
            if next_at > ends_at:
                return
            await self.ask(number)
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))


class _Room:
    """All of them."""

    def __init__(self, url: str, bearer: str, sessions: list[str], number: int) -> None:
        self._url = url.replace("http", "ws", 1)
        self._headers = {"Authorization": f"Bearer {bearer}"}
        self._sessions = sessions
        self._number = number
        self._people: list[_Person] = []
        self._refused = 0

    async def open(self) -> dict[str, Any]:
        return await self._come(lambda person: person.ask(0))

    async def look(self) -> dict[str, Any]:
        return await self._come(lambda person: person.shown.wait())

    async def _come(self, begin: Callable[[_Person], Awaitable[Any]]) -> dict[str, Any]:
        begun = time.monotonic()
        door = asyncio.Semaphore(AT_ONCE)

        async def come(session: str) -> _Person:
            async with door:
                person = _Person(await self._enter(session))
                await begin(person)
                return person

        chosen = itertools.islice(itertools.cycle(self._sessions), self._number)
        self._people = await asyncio.gather(*map(come, chosen))
        return {"refused": self._refused, "seconds": time.monotonic() - begun}

    async def _enter(self, session: str) -> ClientConnection:
        ends_at = time.monotonic() + PATIENCE
        while True:
            try:
                return await connect(
                    f"{self._url}/sessions/{session}/terminal",
                    additional_headers=self._headers,
                    compression=None,
                    proxy=None,
                    open_timeout=PATIENCE,
                    ping_interval=None,
                )
            except InvalidStatus as error:
                # The kernel chooses the worker: another try may meet one that has room.
                if error.response.status_code not in (429, 503) or time.monotonic() > ends_at:
                    raise
                self._refused += 1
                await asyncio.sleep(_PAUSE)

    async def echo(self, seconds: str) -> dict[str, Any]:
        for person in self._people:
            person.seconds.clear()
        await asyncio.gather(*(person.work(float(seconds)) for person in self._people))
        found = [second for person in self._people for second in person.seconds]
        return {"echoes": len(found), **summary(found)}

    async def ended(self) -> dict[str, Any]:
        await asyncio.wait_for(
            asyncio.gather(*(person.reading for person in self._people)), PATIENCE
        )
        codes = Counter(person.code for person in self._people)
        # The clock is the same in all processes of a machine.
        return {"codes": sorted(codes.items()), "at": max(one.ended_at for one in self._people)}

    async def close(self) -> dict[str, Any]:
        await asyncio.gather(*(person.socket.close() for person in self._people))
        return await self.ended()


def summary(seconds: list[float]) -> dict[str, float]:
    """Return median and 99th percentile in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50_ms": round(cuts[49] * 1000, 1), "p99_ms": round(cuts[98] * 1000, 1)}


async def _main() -> None:
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    room = _Room(**json.loads(await lines.readline()))
    while line := (await lines.readline()).decode():
        name, *arguments = line.split()
        print(json.dumps(await getattr(room, name)(*arguments)), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
