"""When a request is whole: held to what gunicorn's own parser finds."""

import itertools
from collections.abc import Iterator

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import HeadersTooLargeError, MalformedRequestError, VibeBoxError
from app.web.gunicorn_worker.framing import (
    LARGEST_BODY,
    LARGEST_CHUNKED,
    LONGEST_HEAD,
    Framing,
    Stage,
    request_line,
)

PLAIN = b"GET /x?y=1 HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def stage(data: bytes) -> Stage:
    return Framing().look(bytearray(data))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Stage.HEAD),
        (b"G", Stage.HEAD),
        (PLAIN[:-1], Stage.HEAD),
        (PLAIN, Stage.WHOLE),
        (b"\r\n" + PLAIN, Stage.WHOLE),
        (PLAIN + b"GET /next", Stage.WHOLE),
        (POST, Stage.BODY),
        (POST + b"1234", Stage.BODY),
        (POST + b"12345", Stage.WHOLE),
        (POST.replace(b"Content-Length: 5", b"cOnTeNt-LeNgTh:\t5 "), Stage.BODY),
        (POST.replace(b": 5", b": 99999999"), Stage.LARGE),
        (POST.replace(b": 5", b": %d" % LARGEST_BODY), Stage.BODY),
        (POST.replace(b": 5", b": %d" % (LARGEST_BODY + 1)), Stage.LARGE),
        (CHUNKED, Stage.BODY),
        (CHUNKED + b"5\r\nhello\r\n", Stage.BODY),
        (CHUNKED + b"5;ext=1\r\nhello\r\n0\r\n", Stage.BODY),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", Stage.WHOLE),
        (CHUNKED + b"0\r\nTrailer: x\r\n", Stage.BODY),
        (CHUNKED + b"0\r\nTrailer: x\r\n\r\n", Stage.WHOLE),
        (CHUNKED + b"ffffff\r\n" + bytes(LARGEST_CHUNKED), Stage.LARGE),
        # The parser refuses these without reading on.
        (POST.replace(b": 5", b": five"), Stage.WHOLE),
        (POST.replace(b": 5", b": -5"), Stage.WHOLE),
        (POST[:-2] + b"Content-Length: 5\r\n\r\n", Stage.WHOLE),
        (CHUNKED.replace(b"chunked", b"rot13, chunked"), Stage.WHOLE),
        (CHUNKED + b"zz\r\n", Stage.WHOLE),
        (CHUNKED + b"1" * 9000, Stage.WHOLE),
        (b"GET / HTTP/1.1\nHost: h\n\n", Stage.WHOLE),
        (b"GET / HTTP/1.1\r\nHost: h\n", Stage.WHOLE),
        (b"GET /" + b"a" * 5000, Stage.WHOLE),
    ],
)
def test_stage(data: bytes, expected: Stage) -> None:
    assert stage(data) is expected


@pytest.mark.parametrize("first", [b"\x16\x03\x01\x02", b"\x00", b"\n", b" GET", b"\xff"])
def test_what_begins_like_no_request_is_refused(first: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        stage(first)


def test_a_handshake_of_tls_is_told_what_to_do() -> None:
    with pytest.raises(MalformedRequestError, match="http://"):
        stage(b"\x16\x03\x01")


def test_an_endless_head_is_refused() -> None:
    with pytest.raises(HeadersTooLargeError):
        stage(b"GET / HTTP/1.1\r\nX: " + b"a" * LONGEST_HEAD)


def test_what_the_head_says() -> None:
    framing = Framing()
    framing.look(bytearray(PLAIN))
    assert not framing.in_head
    assert (framing.health, framing.upgrade, framing.chunked) == (False, False, False)
    for head, name in (
        (b"GET /health/live HTTP/1.1\r\n\r\n", "health"),
        (b"HEAD /health HTTP/1.0\r\n\r\n", "health"),
        (b"GET /x HTTP/1.1\r\nupgrade: websocket\r\n\r\n", "upgrade"),
        (CHUNKED, "chunked"),
        (POST[:-2] + b"Expect: 100-continue\r\n\r\n", "expects"),
    ):
        framing = Framing()
        framing.look(bytearray(head))
        assert getattr(framing, name), head


def test_an_old_client_does_not_wait_for_100_continue() -> None:
    framing = Framing()
    framing.look(bytearray(POST[:-2].replace(b"/1.1", b"/1.0") + b"Expect: 100-continue\r\n\r\n"))
    assert not framing.expects


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PLAIN, ("GET", "/x")),
        (b"\r\nPUT /a/b HTTP/1.1\r\n", ("PUT", "/a/b")),
        (b"GET /half", ("", "")),
        (b"\x16\x03\x01", ("", "")),
        (b"GET / / HTTP/1.1\r\n", ("", "")),
        (b"", ("", "")),
    ],
)
def test_request_line(data: bytes, expected: tuple[str, str]) -> None:
    assert request_line(data) == expected


class Reached(Exception):
    """The parser wanted to read more than there is."""


def parse(data: bytes) -> None:
    """Parse a request and its body. Raises: Reached, and what the parser raises."""

    def source() -> Iterator[bytes]:
        yield data
        raise Reached

    config = Config()
    config.set("forwarded_allow_ips", "")
    request = next(RequestParser(config, source(), ("127.0.0.1", 1)))
    request.body.read()


lines = st.sampled_from(
    [
        b"Host: h",
        b"Content-Length: 3",
        b"Content-Length: 0",
        b"content-length:  12 ",
        b"Content-Length: x",
        b"Content-Length : 3",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: identity",
        b"X-Long: " + b"a" * 300,
        b" folded",
        b"nonsense",
        b"Expect: 100-continue",
        b"",
    ]
)
bodies = st.sampled_from(
    [
        b"",
        b"abc",
        b"3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n",
        b"g\r\n",
        b"3\r\nabcd\r\n",
        b"0\r\nT: x",
    ]
)
starts = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"POST /a HTTP/1.0",
        b"\r\nPUT / HTTP/1.1",
        b"GET /",
        b"G T / HTTP/1.1",
        b"GET / HTTP/2.0",
    ]
)


@settings(max_examples=300, deadline=None)
@given(starts, st.lists(lines, max_size=4), bodies, bodies, st.data())
def test_the_parser_never_waits_for_what_is_called_whole(
    start: bytes, headers: list[bytes], body: bytes, more: bytes, data: st.DataObject
) -> None:
    """However it is cut: what is called whole parses, or is refused, without another byte."""
    sent = b"\r\n".join([start, *headers, b"", b""]) + body + more
    cut = data.draw(st.integers(0, len(sent)))
    try:
        found = stage(sent[:cut])
    except VibeBoxError:
        return
    if found is not Stage.WHOLE:
        return
    try:
        parse(sent[:cut])
    except (ParseException, OSError):
        return


def test_reading_along_in_any_pieces_finds_the_same() -> None:
    sent = CHUNKED + b"5\r\nhello\r\n10;a=b\r\n0123456789abcdef\r\n0\r\nT: x\r\n\r\n"
    for size in range(1, len(sent)):
        framing, inbox = Framing(), bytearray()
        found = Stage.HEAD
        for number in itertools.count(0, size):
            assert found is not Stage.WHOLE or number >= len(sent)
            inbox += sent[number : number + size]
            found = framing.look(inbox)
            if number + size >= len(sent):
                break
        assert found is Stage.WHOLE, size
