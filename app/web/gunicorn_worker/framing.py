"""How much of a request has come, told from its bytes; no I/O here.

Whoever reads along knows when a thread would find the whole request. What the bytes mean is the
parser's to say: where this and the parser differ, a thread waits for the client, within the
deadlines of a body, and nothing else happens.
"""

import re
from enum import Enum, auto

from app.core.errors import HeadersTooLargeError, MalformedRequestError, VibeBoxError

LONGEST_HEAD = 64 * 1024
"""Bytes of a head: far more than any client sends, far less than gunicorn's limits come to."""
LONGEST_LINE = 4094
"""Bytes of a request line: gunicorn's default."""
LARGEST_BODY = 1024 * 1024
"""Bytes of a body that are awaited in memory: every body of JSON. What is announced to be larger is
mostly to be refused, and that needs nothing of it."""
LARGEST_CHUNKED = LARGEST_BODY + 2 * LONGEST_HEAD
"""The same of a request whose body comes in chunks, with its head and the lines of the chunks."""

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*(?=\r\n)")
_CODING = re.compile(rb"\r\ntransfer-encoding:([^\r]*)")
_CODINGS = frozenset({b"compress", b"deflate", b"gzip", b"identity"})
_EXPECT = b"\r\nexpect:"
_UPGRADE = b"\r\nupgrade:"
_CONTINUES = b" http/1.1\r\n"
_HEALTH = (b"GET /health", b"HEAD /health")
# A method is a token (RFC 9110, 5.6.2), and one empty line may stand before it.
_FIRST = frozenset(b"!#$%&'*+-.^_`|~0123456789\r") | frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
_TLS_HANDSHAKE = 0x16
_LONGEST_CHUNK_LINE = 8190


class Stage(Enum):
    """How far a request has come."""

    HEAD = auto()
    """Its head is still coming."""
    BODY = auto()
    """Its head is there, of its body something is missing."""
    LARGE = auto()
    """Its head is there; its body is too large to be awaited in memory."""
    WHOLE = auto()
    """A thread would not have to wait for the client."""


class Framing:
    """Reads along with the bytes of one request.

    Attributes, once the head is there: health (it asks for a probe or a scrape), upgrade (it asks
    to become a WebSocket), expects (it waits for 100 Continue), chunked.
    """

    __slots__ = (
        "_chunks",
        "_large",
        "_longest_line",
        "_needed",
        "_searched",
        "chunked",
        "expects",
        "health",
        "upgrade",
    )

    def __init__(self, longest_line: int = LONGEST_LINE) -> None:
        """Begin with the next request. `longest_line`: as the parser has it."""
        self._longest_line = longest_line
        self._searched = 0
        self._needed = -1
        self._chunks: _Chunks | None = None
        self._large = False
        self.health = self.upgrade = self.expects = self.chunked = False

    @property
    def in_head(self) -> bool:
        """Whether the head is still coming."""
        return self._needed < 0

    def look(self, inbox: bytearray) -> Stage:
        """Return the stage of the request whose bytes so far are `inbox`.

        Raises: MalformedRequestError, HeadersTooLargeError for what will never be a request.
        """
        if self._needed < 0:
            end = inbox.find(_END, max(0, self._searched - len(_END) + 1))
            if end < 0:
                self._searched = len(inbox)
                _refuse_hopeless(inbox)
                return Stage.WHOLE if self._is_refused_by_parser(inbox) else Stage.HEAD
            self._read_head(inbox, end)
        if self._chunks is not None:
            if self._chunks.ended(inbox):
                return Stage.WHOLE
            return Stage.LARGE if len(inbox) > LARGEST_CHUNKED else Stage.BODY
        if len(inbox) >= self._needed:
            return Stage.WHOLE
        return Stage.LARGE if self._large else Stage.BODY

    def _is_refused_by_parser(self, inbox: bytearray) -> bool:
        """Tell whether the parser refuses this beginning of a head as it stands.

        It does where a line ends without a carriage return, and where the first one is too long.
        """
        if inbox.count(b"\n") != inbox.count(b"\r\n"):
            return True
        longest = self._longest_line + 2
        return len(inbox) > longest and inbox.find(b"\r\n", 2, longest) < 0

    def _read_head(self, inbox: bytearray, end: int) -> None:
        """Note what the head says; what it says wrongly the parser refuses, without reading on."""
        self.health = inbox.startswith(_HEALTH)
        head = bytes(inbox[: end + 2]).lower()
        body = end + len(_END)
        self._needed = body
        self.upgrade = _UPGRADE in head
        if codings := _CODING.findall(head):
            self.chunked = True
            if _end_in_chunks(codings):
                self._chunks = _Chunks(body)
        elif len(lengths := _LENGTH.findall(head)) == 1:
            length = int(lengths[0])
            self._needed = body + length
            self._large = length > LARGEST_BODY
        else:
            return
        self.expects = _EXPECT in head and _CONTINUES in head[: head.find(b"\n") + 1]


class _Chunks:
    """Walks over the chunks of a body (RFC 9112, 7.1) to its end."""

    __slots__ = ("_at", "_trailers")

    def __init__(self, at: int) -> None:
        self._at = at
        self._trailers = False

    def ended(self, inbox: bytearray) -> bool:
        """Tell whether the body is over, or has come to what the parser refuses."""
        while not self._trailers:
            end = inbox.find(b"\r\n", self._at, self._at + _LONGEST_CHUNK_LINE)
            if end < 0:
                return len(inbox) - self._at >= _LONGEST_CHUNK_LINE
            size = _chunk_size(inbox[self._at : end])
            if size is None:
                return True
            following = end + 2 + (size + 2 if size else 0)
            if following > len(inbox):
                return False
            self._at, self._trailers = following, size == 0
        return inbox.startswith(b"\r\n", self._at) or inbox.find(_END, self._at) >= 0


def request_line(inbox: bytes | bytearray) -> tuple[str, str]:
    """Return method and path of what may be a request; empty where there are none.

    The query is left out: it may hold a secret.
    """
    line = bytes(inbox[: LONGEST_LINE + 2]).lstrip(b"\r\n").partition(b"\r\n")[0]
    parts = line.split(b" ")
    if len(parts) != 3 or not parts[2].startswith(b"HTTP/"):
        return "", ""
    return parts[0].decode("latin-1"), parts[1].partition(b"?")[0].decode("latin-1")


def _end_in_chunks(codings: list[bytes]) -> bool:
    """Tell whether the parser takes these transfer codings: chunks, of whatever it may be."""
    *others, last = [coding.strip(b" \t") for coding in b",".join(codings).split(b",")]
    return last == b"chunked" and _CODINGS.issuperset(others)


def _refuse_hopeless(inbox: bytearray) -> None:
    if len(inbox) > LONGEST_HEAD:
        raise HeadersTooLargeError
    if inbox and inbox[0] not in _FIRST:
        raise _no_request(inbox[0])


def _no_request(first: int) -> VibeBoxError:
    if first == _TLS_HANDSHAKE:
        return MalformedRequestError(
            "This port speaks plain HTTP and was sent a TLS handshake: ask for http://, or send "
            "https:// to the proxy that ends TLS."
        )
    return MalformedRequestError()


def _chunk_size(line: bytearray) -> int | None:
    """Return the size that the line of a chunk names; None where that is no size."""
    digits = bytes(line).partition(b";")[0].strip(b" \t")
    try:
        return int(digits, 16) if len(digits) <= 16 and digits.isalnum() else None
    except ValueError:
        return None
