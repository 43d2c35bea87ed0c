"""The engine is told of the trace that a call belongs to, and of nothing where there is none."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from app.core.context import Context, context
from app.core.trace_context import Trace
from app.engine import DockerEngine
from app.engine.hijacking import hijack
from app.metrics.engine_calls import measured


@pytest.fixture
def seen() -> Iterator[tuple[str, list[str | None]]]:
    """An engine that answers alike to everything, and the `traceparent` of each request."""
    headers: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers.append(self.headers.get("traceparent"))
            body = b'{"ApiVersion": "1.44", "MinAPIVersion": "1.24"}'
            body = b"[]" if "containers" in self.path else body
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"tcp://127.0.0.1:{server.server_port}", headers
    server.shutdown()
    server.server_close()
    thread.join()


def test_calls_carry_the_trace(seen: tuple[str, list[str | None]]) -> None:
    host, headers = seen
    gateway = DockerEngine(host)
    engine = measured(gateway)
    try:
        engine.list_containers()
        assert set(headers) == {None}
        headers.clear()
        trace = Trace("a" * 32, None)
        token = context.set(Context(trace=trace))
        try:
            engine.list_containers()
        finally:
            context.reset(token)
    finally:
        gateway.close()
    ((_, span_id, *_, error),) = trace.spans
    assert headers == [f"00-{'a' * 32}-{span_id}-00"]
    assert (trace.calling, error) == ("", "")


def test_a_stream_both_ways_carries_it_too() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 101 UPGRADED\r\n\r\nhello")
        connection: Any = ours  # which is as much as a connection of ours is asked for here
        assert hijack(connection, "/exec/1/start", {}, {"traceparent": "00-a-b-01"}) == b"hello"
        head = theirs.recv(4096)
    assert b"\r\nUpgrade: tcp\r\ntraceparent: 00-a-b-01\r\n\r\n{}" in head
