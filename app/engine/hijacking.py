"""Turns an HTTP connection to the engine into a plain stream of bytes both ways.

By hand, since HTTP clients read ahead: what the command says first would be lost in their buffers.
"""

import json
from collections.abc import Mapping
from email.parser import BytesHeaderParser
from io import BytesIO
from types import MappingProxyType
from typing import Any

from requests import Response
from urllib3.exceptions import ProtocolError

from app.engine.transport import DeadlineSocket

_CHUNK = 4096
_LONGEST_HEAD = 64 * 1024
_UPGRADED = (101, 200)  # old engines say 200


class Refused(Exception):
    """The engine answered with an error; `response` holds it."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def hijack(
    connection: DeadlineSocket,
    path: str,
    body: Mapping[str, Any],
    sent: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """POST `body`, with the headers `sent`; return the first bytes of the stream, or none yet.

    Raises: Refused, ProtocolError for what is no HTTP, and what the socket raises.
    """
    text = json.dumps(body).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(text)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n{more}\r\n"
    )
    connection.sendall(head.encode() + text)
    answer, rest = _read_head(connection)
    line, _, headers = answer.partition(b"\r\n")
    try:
        status = int(line.split()[1])
    except (IndexError, ValueError) as error:
        raise ProtocolError("no HTTP answer", error) from error
    if status not in _UPGRADED:
        raise Refused(_response(connection, status, line, headers, rest))
    return rest


def _read_head(connection: DeadlineSocket) -> tuple[bytes, bytes]:
    """Read up to the end of the headers; return them and what came with them."""
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > _LONGEST_HEAD:
            raise ProtocolError("headers without an end")
        data += _receive(connection)
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _response(
    connection: DeadlineSocket, status: int, line: bytes, headers: bytes, rest: bytes
) -> Response:
    length = int(BytesHeaderParser().parsebytes(headers).get("Content-Length", 0))
    while len(rest) < min(length, _LONGEST_HEAD):
        rest += _receive(connection)
    response = Response()
    response.status_code = status
    response.reason = line.partition(b" ")[2].decode("latin-1")
    response.raw = BytesIO(rest)
    return response


def _receive(connection: DeadlineSocket) -> bytes:
    buffer = bytearray(_CHUNK)
    received = connection.recv_into(buffer)
    if not received:
        raise ProtocolError("the connection ended before the answer")
    return bytes(buffer[:received])
