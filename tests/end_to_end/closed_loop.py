"""Clients in a closed loop, in a process of their own: each asks anew as soon as it is answered.

Run as a program it reads a line of JSON, {"port", "path", "clients", "seconds"}, and answers with
one: how long each request took, in seconds, as its client saw it.
"""

import asyncio
import json
import re
import subprocess
import sys
import time

from tests.backends.web import ROOT

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")


def run(port: int, path: str, clients: int, seconds: float) -> list[float]:
    """Have so many clients ask, each over one connection; return how long each request took."""
    order = {"port": port, "path": path, "clients": clients, "seconds": seconds}
    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.closed_loop"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=seconds + 60,
    )
    found: list[float] = json.loads(done.stdout)
    return found


async def _client(port: int, path: str, ends_at: float, found: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    while (begun := time.perf_counter()) < ends_at:
        writer.write(asked)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        assert head.startswith(b"HTTP/1.1 200 ") and length is not None, head
        await reader.readexactly(int(length[1]))
        found.append(time.perf_counter() - begun)
    writer.close()


async def _all(port: int, path: str, clients: int, seconds: float) -> list[float]:
    found: list[float] = []
    ends_at = time.perf_counter() + seconds
    await asyncio.gather(*(_client(port, path, ends_at, found) for _ in range(clients)))
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_all(**json.loads(sys.stdin.read())))))
